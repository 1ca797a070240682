"""STAR's network against the published code and its checkpoint's keys."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textovsr.core.errors import ShapeError
from textovsr.models.star.attention import SpatialBlock, SpatialGate, TemporalBlock, TokenGate
from textovsr.models.star.blocks import TimeConvs, clip_scaling
from textovsr.models.star.chunks import WHOLE, Chunks
from textovsr.models.star.config import StarNetConfig
from textovsr.models.star.net import StarNet
from textovsr.tests.helpers.star import SMALL, TINY, by_rule, published_keys, small_star, star_golden, tiny_star

ATOL = 1e-5
CONTROL_ATOL = 1e-4
"""Of values up to 21. What is reached is in tests/golden/README.md."""


def test_the_keys_are_the_published_ones() -> None:
    with torch.device("meta"):
        ours = StarNet().state_dict()
    assert len(ours) == 2247
    assert {key: list(value.shape) for key, value in ours.items()} == published_keys()
    assert sum(value.numel() for value in ours.values()) == 2_041_121_910
    assert StarNetConfig.from_state(ours) == StarNetConfig()


def predict(chunks: Chunks | None = None) -> Tensor:
    golden = star_golden()
    return small_star()(golden["x"], int(golden["t"][0]), golden["y"], golden["hint"], chunks)


@torch.inference_mode()
@pytest.mark.parametrize("chunks", [Chunks(), WHOLE, Chunks(1, 1), Chunks(2 * 64 * 160, 7 * 5 * 64)], ids=repr)
def test_the_velocity_is_the_published_one(chunks: Chunks) -> None:
    torch.testing.assert_close(predict(chunks), star_golden()["out"], rtol=0, atol=ATOL)


@torch.inference_mode()
def test_the_control_network_says_what_the_published_one_says() -> None:
    golden = star_golden()
    x, hint = (golden[name][0].transpose(0, 1) for name in ("x", "hint"))
    control = small_star().VideoControlNet(x, int(golden["t"][0]), golden["y"], hint, Chunks())
    assert len(control) == 13
    for level in (0, 6, 12):
        torch.testing.assert_close(control[level], golden[f"ctrl{level}"], rtol=0, atol=CONTROL_ATOL)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "unit"), [("sa", SpatialGate()), ("ta", TokenGate())], ids=["inside frames", "along time"]
)
def test_gates_are_the_published_ones(name: str, unit: nn.Module) -> None:
    found = by_rule(unit, f"{name}.")(star_golden()[f"{name}_in"])
    torch.testing.assert_close(found, star_golden()[f"{name}_out"], rtol=0, atol=1e-6)


@torch.inference_mode()
def test_blocks_are_the_published_ones() -> None:
    golden = star_golden()
    space = by_rule(SpatialBlock(64, 48, 32), "blk_space.")
    found = space(golden["blk_space_in"].clone(), golden["blk_space_ctx"], 5)
    torch.testing.assert_close(found, golden["blk_space_out"], rtol=0, atol=2e-6)
    time = by_rule(TemporalBlock(64, 32), "blk_temp.")
    torch.testing.assert_close(time(golden["blk_temp_in"].clone()), golden["blk_temp_out"], rtol=0, atol=2e-6)


def tiny_inputs(batch: int = 1, frames: int = 3, height: int = 6, width: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, text and hint."""
    generator = torch.Generator().manual_seed(0)
    x, hint = torch.randn(2, batch, 4, frames, height, width, generator=generator)
    return x, torch.randn(batch, 7, TINY.context, generator=generator), hint


@torch.inference_mode()
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_chunks_change_nothing(frames: int) -> None:
    x, text, hint = tiny_inputs(frames=frames)
    whole = tiny_star()(x, 300, text, hint, WHOLE)
    for chunks in (Chunks(1, 1), Chunks(2 * 64 * 24, 5 * 64), Chunks(3 * 64 * 24, 0)):
        torch.testing.assert_close(tiny_star()(x, 300, text, hint, chunks), whole, rtol=0, atol=ATOL)


@torch.inference_mode()
def test_clips_of_a_batch_are_their_own_and_stay_as_they_were() -> None:
    x, text, hint = tiny_inputs(batch=2)
    kept = [value.clone() for value in (x, text, hint)]
    both = tiny_star()(x, 300, text, hint)
    alone = torch.cat([tiny_star()(x[i : i + 1], 300, text[i : i + 1], hint[i : i + 1]) for i in range(2)])
    assert torch.equal(both, alone)
    assert all(map(torch.equal, (x, text, hint), kept))


@torch.inference_mode()
@pytest.mark.parametrize("changed", ["latents of the last frame", "hint of the last frame", "text", "timestep"])
def test_everything_has_a_say_in_the_first_frame(changed: str) -> None:
    x, text, hint = tiny_inputs()
    before = tiny_star()(x, 300, text, hint)
    x[:, :, -1] += changed.startswith("latents")
    hint[:, :, -1] += changed.startswith("hint")
    text += changed == "text"
    after = tiny_star()(x, 500 if changed == "timestep" else 300, text, hint)
    assert (after - before)[:, :, 0].abs().max() > 1e-3


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_kept_throughout(dtype: torch.dtype) -> None:
    x, text, hint = tiny_inputs()
    whole = tiny_star()(x, 300, text, hint)
    found = copy.deepcopy(tiny_star()).to(dtype)(x.to(dtype), 300, text.to(dtype), hint.to(dtype))
    assert found.dtype == dtype
    assert (found.float() - whole).std() < (0.004 if dtype == torch.float16 else 0.03) * whole.std()


@torch.inference_mode()
def test_a_clip_is_normalised_as_a_whole() -> None:
    """Against torch's own, of values whose mean is much larger than their deviation."""
    generator = torch.Generator().manual_seed(0)
    norm = nn.GroupNorm(32, 64)
    for value in norm.parameters():
        value.normal_(generator=generator)
    x = torch.randn(5, 64, 3, 4, generator=generator) + 100 * torch.randn(5, 1, 1, 1, generator=generator) + 300
    expected = norm.double()(x.double().transpose(0, 1)[None])[0].transpose(0, 1).float()
    for spatial in (1, 2 * 64 * 12, 0):
        scale, shift = clip_scaling(norm, x, Chunks(spatial))
        torch.testing.assert_close(x * scale + shift, expected, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_convolutions_along_time_are_those_of_a_volume() -> None:
    """Written over their input frame by frame, against normalisation, SiLU and convolution of the whole."""
    generator = torch.Generator().manual_seed(0)
    layers, x = by_rule(TimeConvs(32)), torch.randn(6, 32, 3, 4, generator=generator)
    expected = clip = x.transpose(0, 1)[None]
    for conv in (layers.conv1, layers.conv2, layers.conv3, layers.conv4):
        expected = conv[-1](F.silu(conv[0](expected)))
    expected = (clip + expected)[0].transpose(0, 1)
    for spatial in (1, 2 * 32 * 12, 5 * 32 * 12, 0):
        torch.testing.assert_close(layers(x.clone(), Chunks(spatial)), expected, rtol=0, atol=2e-6)


@torch.inference_mode()
def test_what_does_not_fit_is_named() -> None:
    x, text, hint = tiny_inputs(batch=2)
    with pytest.raises(ShapeError, match=r"\(B,4,F,h,w\) of one size, got \(2, 4, 3, 6, 4\) and \(2, 4, 3, 6, 3\)"):
        tiny_star()(x, 1, text, hint[..., 1:])
    with pytest.raises(ShapeError, match=r"each of 2 clips, \(2,K,48\), got \(1, 7, 48\)"):
        tiny_star()(x, 1, text[:1], hint)
    with pytest.raises(ShapeError, match=r"multiple of 2 .* got 5x4; pad"):
        tiny_star()(x[..., 1:, :], 1, text, hint[..., 1:, :])
    SMALL.check_size(122, 216)
    for height, width in ((120, 216), (122, 220), (2, 0)):
        with pytest.raises(ShapeError, match=f"multiple of 8 .* got {height}x{width}"):
            SMALL.check_size(height, width)
