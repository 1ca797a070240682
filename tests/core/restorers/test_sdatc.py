"""SDATC as a restorer: its sampling is the paper's, and a clip comes out whole however it is cut.

The networks are small and random: what is tested is what is done with them, not what they show.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.errors import CancelledError, OutOfMemoryError, SettingError
from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.sdatc.canvas import Canvas
from textovsr.core.restorers.sdatc.config import FlowGuidance, SdatcConfig
from textovsr.core.restorers.sdatc.memory import LEAST_TILE, fit
from textovsr.core.restorers.sdatc.restorer import SdatcRestorer
from textovsr.core.restorers.systems import exact_parts
from textovsr.models.sdatc.denoiser import SdatcDenoiser
from textovsr.tests.helpers.mgld import moving_clip
from textovsr.tests.helpers.sdatc import TINY, tiny_networks, tiny_parts, tiny_unet
from textovsr.tests.helpers.shots import WatchedParts, images, restored

FRAMES = 17
SIZE = (24, 40)
SMALL = (16, 16)
QUICK = SdatcConfig(steps=2)


def frames(count: int, size: tuple[int, int] = SMALL, prompt: str = "") -> list[ShotFrame]:
    height, width = size
    clip = moving_clip(FRAMES, max(height, 24), max(width, 24))[:count, :, :height, :width]
    return [ShotFrame(image, prompt, pts=i) for i, image in enumerate(clip)]


def run(
    config: SdatcConfig,
    items: list[ShotFrame],
    parts: HeldParts | None = None,
    begin: Pause | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Result | Pause]:
    return list(start(config, items, parts, begin, check))


def start(
    config: SdatcConfig,
    items: list[ShotFrame],
    parts: HeldParts | None = None,
    begin: Pause | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Result | Pause]:
    return restored(SdatcRestorer(parts or tiny_parts(), config, 1 << 34), items, begin, check)


@cache
def whole() -> list[Result | Pause]:
    return run(QUICK, frames(FRAMES, SIZE))


@cache
def six() -> Tensor:
    return images(run(QUICK, frames(6)))


def test_all_frames_come_out_four_times_as_large() -> None:
    result = images(whole())
    assert result.shape == (FRAMES, 3, 96, 160)
    assert result.isfinite().all()
    assert result.std() > 0.05


def test_tiles_of_all_networks() -> None:
    """A frame that is no multiple of anything, larger than a tile."""
    result = images(run(replace(QUICK, tile=64, vae_tile=64), frames(3, (30, 44))))
    assert result.shape == (3, 3, 120, 176)
    assert result.isfinite().all()


@pytest.mark.parametrize("joint", ["blend", "fixed"])
def test_work_goes_on_after_any_window_as_if_it_had_never_stopped(joint: str) -> None:
    """It stops after every one, and a new restorer goes on with what was kept."""
    config = replace(QUICK, joint=joint)
    count, size = (FRAMES, SIZE) if joint == "blend" else (7, SMALL)
    found: list[Result | Pause] = []
    pause: Pause | None = None
    while (done := sum(isinstance(item, Result) for item in found)) < count:
        for item in start(config, frames(count, size)[done:], begin=pause):
            found.append(item)
            if isinstance(item, Pause):
                pause = item
                break
    assert sum(isinstance(item, Pause) for item in found) == -(-count // 3)
    expected = whole() if joint == "blend" else run(config, frames(count, size))
    torch.testing.assert_close(images(found), images(expected), rtol=0, atol=0)


def test_what_is_carried_is_small() -> None:
    """Latents of two frames, and one frame of the input with its latents; after the last window nothing."""
    pauses = [item for item in whole() if isinstance(item, Pause)]
    shapes = {key: tuple(value.shape) for key, value in pauses[0].state.items()}
    assert shapes == {"ahead": (2, 4, 16, 24), "latents": (1, 4, 16, 24), "images": (1, 3, *SIZE)}
    assert pauses[-1].state == {}


@pytest.mark.parametrize("count", range(1, 10))
def test_any_number_of_frames(count: int) -> None:
    result = images(run(QUICK, frames(count)))
    assert result.shape == (count, 3, 64, 64)
    assert result.isfinite().all()


def test_frames_that_a_window_before_has_made_are_not_made_again() -> None:
    """8 frames are windows of 5 at 0 and 3: that at 6 holds only the overlap."""
    parts = WatchedParts(tiny_networks())
    run(QUICK, frames(8), parts)
    assert parts.used.count("denoiser") == 2
    assert parts.used.count("text") == 1


def test_windows_that_are_fixed_begin_with_what_the_one_before_made() -> None:
    """Of a window's overlap nothing is sampled anew: cut there, the frames are those of the window before."""
    fixed = images(run(replace(QUICK, joint="fixed", context=0, color_fix="none"), frames(5)))
    longer = images(run(replace(QUICK, joint="fixed", context=0, color_fix="none"), frames(8)))
    torch.testing.assert_close(longer[:3], fixed[:3], rtol=0, atol=0)
    assert not torch.allclose(longer[5:], fixed[2:5])


def test_cancelling_is_heard_inside_a_step() -> None:
    """By the second tile of the denoiser's first step, when nothing of the step is done."""
    parts, calls = WatchedParts(tiny_networks()), []

    def check() -> None:
        calls.append(parts.used[-1] if parts.used else "")
        if calls.count("denoiser") == 2:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        run(replace(QUICK, tile=64), frames(2, (24, 24)), parts, check=check)
    assert calls.count("dcm") >= 2
    assert calls.count("vae") >= 2


def test_every_step_is_told() -> None:
    told: list[tuple[int, int]] = []
    restorer = SdatcRestorer(tiny_parts(), replace(QUICK, steps=3), 1 << 34)
    restorer.tell_step = lambda done, total: told.append((done, total))
    plan = restorer.plan(*SMALL)
    list(Restoration(restorer, plan, lambda: None, lambda text: None).run(frames(2)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_less_memory_means_smaller_windows_not_the_end() -> None:
    """Memory runs out at the second window: what came before stays, the rest is made with less at a time."""

    def allow(name: str, count: int) -> None:
        if name == "denoiser" and 2 <= count <= 3:
            raise RuntimeError("CUDA out of memory")

    result = images(run(QUICK, frames(6), WatchedParts(tiny_networks(), allow)))
    assert len(result) == 6
    torch.testing.assert_close(result[:3], six()[:3], rtol=0, atol=0)
    assert result.isfinite().all()


def test_no_memory_at_all_is_said() -> None:
    def allow(name: str, count: int) -> None:
        if name == "denoiser":
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(OutOfMemoryError, match="windows of 1 frame"):
        run(QUICK, frames(3), WatchedParts(tiny_networks(), allow))


def test_with_little_memory_fewer_frames_go_through_the_denoiser_before_its_tiles_shrink() -> None:
    canvas = Canvas.of((480, 640))

    def fitting(gigabytes: float) -> tuple[int, int, int]:
        found = fit(canvas, QUICK, int(gigabytes * 2**30), torch.float16)
        return found.tile, found.vae_tile, found.at_once

    assert fitting(64) == (512, 512, 5)
    assert fitting(0.3) == (512, 64, 3)
    assert fitting(0.05) == (256, 64, 2)
    assert SdatcRestorer(tiny_parts(), QUICK, 1 << 36).plan(480, 640).tiles == (128, 128, 256)
    assert [canvas.tile_side(side, LEAST_TILE) for side in (128, 64, 16, 0)] == [512, 256, 256, 2560]


@pytest.mark.parametrize(
    "config",
    [
        replace(QUICK, guidance=None),
        replace(QUICK, guidance=FlowGuidance("step", 10.0)),
        replace(QUICK, guidance=FlowGuidance("step", 1000.0, "var")),
        replace(QUICK, flow_frames="input"),
        replace(QUICK, start="noise"),
        replace(QUICK, fidelity=0.0),
        replace(QUICK, features="input"),
        replace(QUICK, color_fix="none"),
        replace(QUICK, seed=1),
        replace(QUICK, joint="fixed"),
        replace(QUICK, curve="cut"),
        replace(QUICK, reschedule=False),
        replace(QUICK, context=0),
        replace(SdatcConfig.published(), steps=2, tile=64),
    ],
    ids=lambda config: " ".join(f"{key}" for key, value in vars(config).items() if value != getattr(QUICK, key)),
)
def test_every_setting_changes_the_picture(config: SdatcConfig) -> None:
    result = images(run(config, frames(6)))
    assert result.isfinite().all()
    assert not torch.allclose(result, six(), atol=1e-5)


def test_what_is_to_be_seen_is_said_to_the_denoiser_unless_switched_off() -> None:
    said = images(run(QUICK, frames(1, prompt="a wall")))
    silent = images(run(QUICK, frames(1)))
    assert not torch.equal(said, silent)
    torch.testing.assert_close(images(run(replace(QUICK, captions=False), frames(1, prompt="a wall"))), silent)


def test_half_precision_shows_nearly_the_same() -> None:
    """As on a graphics card: the denoiser in half precision, the DCM and the autoencoder as they were trained."""
    networks = {name: copy.deepcopy(network) for name, network in tiny_networks().items()}
    parts = HeldParts(networks, torch.device("cpu"), torch.bfloat16, exact_parts("sdatc"))
    half, single = images(run(QUICK, frames(2), parts)), images(run(QUICK, frames(2)))
    assert half.dtype == torch.float32
    assert 0 < float((half - single).abs().mean()) < 0.1 * float(half.std())


def test_the_identity_names_weights_and_settings_but_not_the_memory() -> None:
    def identity(
        config: SdatcConfig = QUICK, memory: int = 1 << 34, networks: dict[str, nn.Module] | None = None
    ) -> str:
        parts = HeldParts({**tiny_networks(), **(networks or {})}, torch.device("cpu"), torch.float32)
        return SdatcRestorer(parts, config, memory).identity

    assert identity() == identity(memory=1 << 20)
    assert identity() != identity(replace(QUICK, steps=3))
    assert identity() != identity(networks={"denoiser": SdatcDenoiser(tiny_unet(), TINY)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1}, "2 to 1000 steps, got 1"),
        ({"fidelity": 1.5}, "0 to 1, got 1.5"),
        ({"overlap": 5}, "overlap by less"),
        ({"start": "nothing"}, "Expected condition or noise, got 'nothing'"),
        ({"joint": "glued"}, "Expected blend or fixed"),
        ({"context": -1}, "context of 0 frames or more"),
        ({"tile": 100}, "a tile of a multiple of 64"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SdatcConfig(**settings)


@pytest.mark.parametrize("settings", [{"place": "nowhere"}, {"by": "sigma"}, {"scale": -1.0}, {"chunk": 0}])
def test_guidance_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="guidance"):
        FlowGuidance(**settings)
