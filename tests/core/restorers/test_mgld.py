"""MGLD-VSR as a restorer: its sampling is the published one, and a clip comes out whole however it is cut."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.diffusion.config import GuidanceConfig
from textovsr.core.diffusion.frame_noise import BEGINNING
from textovsr.core.diffusion.tiles import Tiling
from textovsr.core.errors import CancelledError, OutOfMemoryError
from textovsr.core.journal import Pause
from textovsr.core.restoration import Result, ShotFrame
from textovsr.core.restorers.mgld.config import MgldConfig
from textovsr.core.restorers.mgld.restorer import MgldRestorer
from textovsr.core.restorers.mgld.sampling import Clip, ClipSampler
from textovsr.core.restorers.parts import HeldParts
from textovsr.models.mgld.denoiser import Denoiser
from textovsr.tests.helpers.mgld import (
    TINY_STRUCT,
    TINY_UNET,
    golden_motion,
    mgld_golden,
    moving_clip,
    small_denoiser,
    tiny_networks,
    tiny_parts,
)
from textovsr.tests.helpers.shots import WatchedParts, images, restored

FRAMES = 17
SMALL = (16, 24)
QUICK = MgldConfig(steps=2, least_side=64)


def frames(count: int, size: tuple[int, int] = SMALL, prompt: str = "") -> list[ShotFrame]:
    return [ShotFrame(image, prompt, pts=i) for i, image in enumerate(moving_clip(FRAMES, *size)[:count])]


def run(
    config: MgldConfig,
    items: list[ShotFrame],
    parts: HeldParts | None = None,
    begin: Pause | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Result | Pause]:
    return list(start(config, items, parts, begin, check))


def start(
    config: MgldConfig,
    items: list[ShotFrame],
    parts: HeldParts | None = None,
    begin: Pause | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Result | Pause]:
    return restored(MgldRestorer(parts or tiny_parts(), config, 1 << 34), items, begin, check)


@cache
def whole() -> list[Result | Pause]:
    return run(QUICK, frames(FRAMES))


@cache
def six() -> Tensor:
    return images(run(QUICK, frames(6)))


@torch.inference_mode()
def test_the_published_settings_sample_as_published() -> None:
    """Golden: 3 steps over tiles, guided in the reference form, latents up to 66; reached 1e-4, 1e-6 of the norm."""
    golden, published = mgld_golden(), MgldConfig.published()
    tiling = Tiling(32, 16, published.tile_weights == "published")
    sampler = ClipSampler(small_denoiser(), tiling, 3, published.guidance, lambda: None)

    def noise(step: int) -> Tensor:
        return golden["in.noise0"] if step == BEGINNING else golden["in.step_noise"][step]

    context = golden["in.context"].expand(5, -1, -1)
    found = sampler.sample(Clip(golden["in.lr_latent"], context, golden_motion(), noise))
    expected = golden["out.sampled"]
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-4)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


def test_all_frames_come_out_four_times_as_large() -> None:
    """Tiles of the denoiser and of the autoencoder, a frame that is no multiple of anything."""
    result = images(run(replace(QUICK, tile=128, vae_tile=128), frames(FRAMES, (30, 44))))
    assert result.shape == (FRAMES, 3, 120, 176)
    assert result.isfinite().all()
    assert result.std() > 0.05


def test_work_goes_on_after_any_window_as_if_it_had_never_stopped() -> None:
    """It stops after every one, and a new restorer goes on with what was kept."""
    found: list[Result | Pause] = []
    pause: Pause | None = None
    while (done := sum(isinstance(item, Result) for item in found)) < FRAMES:
        for item in start(QUICK, frames(FRAMES)[done:], begin=pause):
            found.append(item)
            if isinstance(item, Pause):
                pause = item
                break
    assert sum(isinstance(item, Pause) for item in found) == 6
    torch.testing.assert_close(images(found), images(whole()), rtol=0, atol=0)


def test_tiles_restored_on_their_own_carry_on_each_for_itself() -> None:
    config = replace(QUICK, outer_tile=96)
    items = run(config, frames(5, (24, 30)))
    pause = next(item for item in items if isinstance(item, Pause))
    assert {key.split(".")[0] for key in pause.state} == {"0", "1"}
    rest = images(run(config, frames(5, (24, 30))[3:], begin=pause), 3)
    torch.testing.assert_close(rest, images(items)[3:], rtol=0, atol=0)
    assert rest.shape[-2:] == (96, 120)


def test_what_is_carried_is_small() -> None:
    """Latents of two frames, and one frame of the input with its latents; after the last window nothing."""
    pauses = [item for item in whole() if isinstance(item, Pause)]
    shapes = {key: tuple(value.shape) for key, value in pauses[0].state.items()}
    assert shapes == {"ahead": (2, 4, 8, 16), "latents": (1, 4, 8, 16), "images": (1, 3, *SMALL)}
    assert pauses[-1].state == {}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_any_number_of_frames(count: int) -> None:
    result = images(run(QUICK, frames(count)))
    assert result.shape == (count, 3, 64, 96)
    assert result.isfinite().all()


def test_frames_that_a_window_before_has_made_are_not_made_again() -> None:
    """17 frames are windows of 5 at 0, 3, 6, 9 and 12: that at 15 holds only the overlap."""
    parts = WatchedParts(tiny_networks())
    torch.testing.assert_close(images(run(QUICK, frames(FRAMES), parts)), images(whole()), rtol=0, atol=0)
    assert parts.used.count("denoiser") == 5
    assert parts.used.count("text") == 1


def test_cancelling_is_heard_inside_a_step() -> None:
    """By the second of nine tiles of the denoiser's first step, when nothing of the step is done."""
    parts, calls = WatchedParts(tiny_networks()), []

    def check() -> None:
        calls.append(parts.used[-1] if parts.used else "")
        if calls.count("denoiser") == 2:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        run(replace(QUICK, tile=64), frames(2, (24, 24)), parts, check=check)
    assert calls.count("vae") >= 2


def test_less_memory_means_smaller_windows_not_the_end() -> None:
    """Memory runs out at the third window: what came before stays, the rest is made with less at a time."""

    def allow(name: str, count: int) -> None:
        if name == "denoiser" and 3 <= count <= 4:
            raise RuntimeError("CUDA out of memory")

    result = images(run(QUICK, frames(11), WatchedParts(tiny_networks(), allow)))
    assert len(result) == 11
    torch.testing.assert_close(result[:6], images(whole())[:6], rtol=0, atol=0)
    assert result.isfinite().all()


def test_no_memory_at_all_is_said() -> None:
    def allow(name: str, count: int) -> None:
        if name == "denoiser":
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(OutOfMemoryError, match="windows of 1 frame"):
        run(QUICK, frames(3), WatchedParts(tiny_networks(), allow))


PUBLISHED = replace(MgldConfig.published(), steps=2, least_side=64, tile=64)


@pytest.mark.parametrize(
    "config",
    [
        replace(QUICK, guidance=None),
        replace(QUICK, guidance=GuidanceConfig("reference", 10.0)),
        replace(QUICK, fidelity=0.0),
        replace(QUICK, color_fix="none"),
        replace(QUICK, seed=1),
        replace(QUICK, curve="cut"),
        replace(QUICK, reschedule=False),
        replace(QUICK, context=0),
        replace(QUICK, latents="sample"),
        PUBLISHED,
    ],
    ids=lambda config: " ".join(str(value) for value in (config.guidance, config.seed))[:40],
)
def test_every_setting_changes_the_picture(config: MgldConfig) -> None:
    result = images(run(config, frames(6)))
    assert result.isfinite().all()
    assert not torch.allclose(result, six(), atol=1e-4)


def test_what_is_to_be_seen_is_said_to_the_denoiser_unless_switched_off() -> None:
    said = images(run(QUICK, frames(2, prompt="a wall")))
    silent = images(run(QUICK, frames(2)))
    assert not torch.equal(said, silent)
    torch.testing.assert_close(images(run(replace(QUICK, captions=False), frames(2, prompt="a wall"))), silent)


def test_half_precision_shows_nearly_the_same() -> None:
    """Networks that change their precision while they take turns, as on a graphics card."""
    networks = {name: copy.deepcopy(network) for name, network in tiny_networks().items()}
    parts = HeldParts(networks, torch.device("cpu"), torch.bfloat16)
    half = images(run(QUICK, frames(2), parts))
    assert half.dtype == torch.float32
    assert float((half - images(run(QUICK, frames(2)))).abs().mean()) < 0.1 * float(half.std())
    torch.testing.assert_close(images(run(QUICK, frames(2), parts)), half)


def test_the_identity_names_weights_and_settings_but_not_the_memory() -> None:
    def identity(
        config: MgldConfig = QUICK, memory: int = 1 << 34, networks: dict[str, nn.Module] | None = None
    ) -> str:
        parts = HeldParts({**tiny_networks(), **(networks or {})}, torch.device("cpu"), torch.float32)
        return MgldRestorer(parts, config, memory).identity

    assert identity() == identity(memory=1 << 20)
    assert identity() != identity(replace(QUICK, steps=3))
    assert identity() != identity(networks={"denoiser": Denoiser(TINY_UNET, TINY_STRUCT)})
