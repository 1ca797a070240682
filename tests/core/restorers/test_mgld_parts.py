"""What MGLD-VSR's restorer is made of: sizes, noise, tiles, motion, settings."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from textovsr.core.diffusion.guidance import warping_loss
from textovsr.core.diffusion.schedules import trained_schedule
from textovsr.core.diffusion.tiles import Tiling
from textovsr.core.errors import SettingError
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.restorer import PromptedFrame
from textovsr.core.restorers.mgld.canvas import Canvas
from textovsr.core.restorers.mgld.codec import decode_frames, encode_frames
from textovsr.core.restorers.mgld.config import MgldConfig
from textovsr.core.restorers.mgld.memory import plan_tiles
from textovsr.core.restorers.mgld.motion import clip_motion
from textovsr.core.restorers.mgld.outer import TiledShot, outer_places
from textovsr.core.restorers.mgld.sampling import Clip, ClipSampler
from textovsr.core.windows import Window
from textovsr.models.mgld.config import LATENT_SCALE
from textovsr.models.raft import RAFT
from textovsr.tests.helpers.mgld import moving_clip, tiny_networks
from textovsr.tests.helpers.restorers import Enlarge, EnlargedShot

SIDES = st.integers(16, 2000)
OURS, PUBLISHED = MgldConfig(), MgldConfig.published()
CPU = torch.device("cpu")


@given(height=SIDES, width=SIDES)
def test_what_is_worked_on_is_large_enough_and_can_be_halved(height: int, width: int) -> None:
    canvas = Canvas.of((height, width), OURS)
    assert min(canvas.enlarged) >= max(512, 4 * min(height, width))
    for padded, enlarged, side in zip(canvas.padded, canvas.enlarged, (height, width), strict=True):
        assert padded % 64 == 0
        assert 0 <= padded - enlarged < 64
        assert enlarged == pytest.approx(side * canvas.share, rel=0.01, abs=1)


@pytest.mark.parametrize(
    ("frame", "padded"), [((128, 128), (512, 512)), ((180, 320), (736, 1312)), ((64, 128), (512, 1024))]
)
def test_the_published_padding_is_both_sides_or_none(frame: tuple[int, int], padded: tuple[int, int]) -> None:
    """180 x 4 = 720 is no multiple of 32: 736; 320 x 4 = 1280 is one, and gets 32 more."""
    assert Canvas.of(frame, PUBLISHED).padded == padded


def test_the_published_padding_is_not_for_frames_smaller_than_a_tile() -> None:
    small = replace(PUBLISHED, least_side=64)
    assert Canvas.of((40, 200), small).padded == (192, 832)


@pytest.mark.parametrize("config", [MgldConfig(least_side=64), MgldConfig(least_side=256)])
def test_frames_come_back_at_four_times_their_size(config: MgldConfig) -> None:
    clip = moving_clip(1, 20, 34)
    canvas = Canvas.of((20, 34), config)
    large = canvas.enlarge(clip)
    assert large.shape[-2:] == canvas.padded
    assert -1 <= float(large.min()) <= float(large.max()) <= 1
    back = canvas.finish(large[0])
    assert back.shape == (3, 80, 136)
    expected = F.interpolate(clip, scale_factor=4, mode="bicubic")[0].clamp(0, 1)
    assert float((back - expected).abs().mean()) < 0.01


@given(
    window=st.integers(1, 8),
    overlap=st.integers(0, 7),
    start=st.integers(0, 40),
    count=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_a_frame_s_noise_does_not_depend_on_what_is_asked_for_with_it(
    window: int, overlap: int, start: int, count: int, seed: int
) -> None:
    config = MgldConfig(window=window, overlap=min(overlap, window - 1), seed=seed)
    whole = config.noise.indices(range(60))
    assert config.noise.indices(range(start, start + count)) == whole[start : start + count]
    stride = config.window - config.overlap
    for first in range(0, 60 - window, stride):
        assert sorted(whole[first : first + window]) == list(range(window))


class Undecided(nn.Module):
    """Knows that clean latents are the given ones but for a deviation of a half, which the noise decides."""

    def forward(self, x: Tensor, z: Tensor, timestep: int, context: Tensor) -> Tensor:
        kept = float(trained_schedule().alphas_cumprod[timestep])
        return (1 - kept) ** 0.5 * (x - kept**0.5 * z) / (0.25 * kept + 1 - kept)


def test_guidance_makes_frames_agree_and_the_check_hears_every_tile() -> None:
    still = ClipMotion(*(torch.zeros(4, channels, 16, 24) for channels in (2, 2, 1, 1)))
    z = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(0)).expand(5, -1, -1, -1)
    clip = Clip(z, torch.zeros(5, 77, 8), still, OURS.noise.of_clip(range(5), (4, 16, 24), CPU))
    calls: list[int] = []
    losses = []
    for guidance in (None, OURS.guidance, PUBLISHED.guidance):
        calls.clear()
        sampler = ClipSampler(Undecided(), Tiling(16, 8), 20, guidance, lambda: calls.append(1))
        losses.append(warping_loss(sampler.sample(clip), still))
        assert len(calls) == 20 * 2 + 20
    assert losses[0] > 0.4
    assert losses[1] < 0.8 * losses[0]
    assert losses[2] != pytest.approx(losses[0], abs=0.01)


def test_noise_is_normal_and_its_own_for_every_step_and_seed() -> None:
    noise = OURS.noise.of_clip(range(5), (4, 32, 32), CPU)
    first, second = noise(0), noise(1)
    assert first.shape == (5, 4, 32, 32)
    assert torch.equal(first, noise(0))
    assert float(first.mean()) == pytest.approx(0, abs=0.03)
    assert float(first.std()) == pytest.approx(1, abs=0.03)
    correlation = torch.corrcoef(torch.stack([*first.flatten(1), *second.flatten(1)])) - torch.eye(10)
    assert float(correlation.abs().max()) < 0.1
    assert not torch.equal(first, MgldConfig(seed=1).noise.of_clip(range(5), (4, 32, 32), CPU)(0))
    alone = MgldConfig(reschedule=False).noise.of_clip(range(3, 8), (4, 32, 32), CPU)(0)
    torch.testing.assert_close(alone[:2], first[3:])


@torch.inference_mode()
def test_one_tile_of_the_autoencoder_is_the_autoencoder_and_more_cover_the_frame() -> None:
    vae = tiny_networks()["vae"]
    frames = 2 * moving_clip(3, 48, 64) - 1
    calls: list[int] = []

    def check() -> None:
        calls.append(1)

    mean, log_variance = encode_frames(vae, frames, 64, check)
    expected, expected_variance, features = vae.encode(frames)
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(log_variance, expected_variance)
    assert len(calls) == 3
    latents = LATENT_SCALE * mean
    decoded = decode_frames(vae, latents, frames, 0.5, 64, check)
    torch.testing.assert_close(decoded, vae.decode(mean, features, 3, 0.5), rtol=0, atol=1e-4)
    calls.clear()
    tiled = decode_frames(vae, latents, frames, 0.5, 32, check)
    assert tiled.shape == (3, 3, 48, 64)
    assert tiled.isfinite().all()
    assert len(calls) == 2 * 2 * 3


class Overflowing(nn.Module):
    """An autoencoder whose numbers are too large for half precision; it decodes to the number that it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.full((1,), 300.0), requires_grad=False)

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        latents = (self.level * self.level / 90_000).expand(len(frames), 4, *(side // 8 for side in frames.shape[-2:]))
        return latents, latents, (latents, latents)

    def decode(self, z: Tensor, features: Tensor, frames: int, weight: float) -> Tensor:
        return (self.level * self.level / 90_000).expand(len(z), 3, *(8 * side for side in z.shape[-2:]))


def test_what_half_precision_cannot_hold_is_done_in_single() -> None:
    vae, frames = Overflowing().half(), torch.zeros(2, 3, 16, 16)
    mean, _ = encode_frames(vae, frames, 16, lambda: None)
    torch.testing.assert_close(mean, torch.ones(2, 4, 2, 2))
    decoded = decode_frames(vae, mean, frames, 1.0, 16, lambda: None)
    torch.testing.assert_close(decoded, torch.ones(2, 3, 16, 16))
    assert vae.level.dtype == torch.float16


def test_motion_is_found_on_the_grid_of_the_latents() -> None:
    """A frame moves by a pixel right and half a pixel down, of the input: half as much on the latents' grid."""
    canvas = Canvas.of((48, 64), MgldConfig(least_side=64))
    frames = canvas.enlarge(moving_clip(3, 48, 64))
    for published in (False, True):
        motion = clip_motion(tiny_networks()["flow"], frames, CPU, published, lambda: None)
        assert motion.forward_flow.shape == (2, 2, 24, 32)
        inner = motion.forward_flow[..., 4:-4, 4:-4].mean(dim=(0, 2, 3))
        torch.testing.assert_close(inner, torch.tensor([0.5, 0.25]), atol=0.15, rtol=0)


def test_a_flow_network_in_half_precision_works_in_single_and_stays_as_it_is() -> None:
    frames = 2 * moving_clip(2, 32, 32) - 1
    half = copy.deepcopy(tiny_networks()["flow"]).half()
    found = clip_motion(half, frames, CPU, False, lambda: None).forward_flow
    assert all(value.dtype == torch.float16 for value in half.parameters())
    single = clip_motion(tiny_networks()["flow"], frames, CPU, False, lambda: None).forward_flow
    torch.testing.assert_close(found, single, rtol=0, atol=0.01)


def test_the_published_flow_looks_ten_times_at_pictures_that_are_not_centred() -> None:
    network = RAFT().eval()
    seen: list[object] = []

    def note(module: RAFT, given: tuple[object, ...], named: dict[str, object]) -> None:
        seen.append((given[2:], named))

    network.register_forward_pre_hook(note, with_kwargs=True)
    frames = 2 * moving_clip(2, 32, 32) - 1
    for published in (False, True):
        clip_motion(network, frames.repeat_interleave(2, dim=-1), CPU, published, lambda: None)
    assert seen == [((), {}), ((10,), {"centred": False})]


@pytest.mark.parametrize("even", [True, False])
def test_tiles_of_their_own_come_together(even: bool) -> None:
    clip, places = moving_clip(3, 50, 70), outer_places((50, 70), 32)
    shots = [EnlargedShot(Enlarge(2, 1)) for _ in places]
    shot = TiledShot(shots, places, (50, 70), even)
    window = Window(0, tuple(PromptedFrame(image) for image in clip), kept=2, last=False)
    found = torch.stack(list(shot.restore(window, lambda: None)))
    torch.testing.assert_close(found, F.interpolate(clip[:2], scale_factor=4))
    others = [EnlargedShot(Enlarge(2, 1)) for _ in places]
    again = TiledShot(others, places, (50, 70), even)
    again.load_state(shot.state())
    assert [other.done for other in others] == [2] * len(places)


@given(height=SIDES, width=SIDES, memory=st.integers(0, 1 << 36), more=st.integers(0, 1 << 36))
def test_more_memory_never_makes_smaller_tiles(height: int, width: int, memory: int, more: int) -> None:
    canvas = Canvas.of((height, width), OURS)
    small = plan_tiles(canvas, OURS, memory, torch.float16)
    large = plan_tiles(canvas, OURS, memory + more, torch.float16)
    for lesser, greater in zip(small, large, strict=True):
        assert canvas.tile_side(greater, 64) >= canvas.tile_side(lesser, 64) >= 64
    assert plan_tiles(canvas, PUBLISHED, memory, torch.float16)[0] == canvas.input_side(512)


@given(height=SIDES, width=SIDES, tile=st.sampled_from([64, 128, 256, 512, 960]))
def test_a_tile_keeps_its_side_through_pixels_of_the_input(height: int, width: int, tile: int) -> None:
    canvas = Canvas.of((height, width), OURS)
    side = canvas.input_side(tile)
    assert canvas.tile_side(side, 64) == (tile // 64 * 64 if side else max(canvas.padded))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1}, "2 to 1000 steps, got 1"),
        ({"fidelity": 1.5}, "fidelity"),
        ({"window": 3, "overlap": 3}, "got 3 and 3"),
        ({"curve": "straight"}, "'straight'"),
        ({"context": -1}, "-1"),
        ({"least_side": 32}, "32"),
        ({"tile": 100}, "multiple of 64"),
        ({"vae_tile": -64}, "multiple of 64"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        MgldConfig(**settings)
