"""Motion guidance: its gradient by hand and by differences, the two forms, and what a step does to a clip."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.diffusion.config import GuidanceConfig, GuidanceForm
from textovsr.core.diffusion.guidance import guided, published_step, warping_gradient, warping_loss
from textovsr.core.errors import SettingError, ShapeError
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.models.warp import warp
from textovsr.tests.core.diffusion.moving import moving_clip, sample_alone, sharpness, warping_error

FORMS: tuple[GuidanceForm, ...] = ("reference", "corrected")
clip_and_motion = cache(moving_clip)


def sliding(value: float) -> Tensor:
    """A flow of one row of three pixels, ``value`` to the right."""
    return torch.tensor([value, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 3).contiguous()


def row(*values: float) -> Tensor:
    return torch.tensor([float(value) for value in values]).view(1, 1, 1, -1)


def random_clip(frames: int, seed: int = 0, flow: float = 2.0) -> tuple[Tensor, ClipMotion]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    pairs = frames - 1
    masks = [(draw(pairs, 1, 5, 6) > 0.8).double() for _ in range(2)]
    return draw(frames, 2, 5, 6), ClipMotion(flow * draw(pairs, 2, 5, 6), flow * draw(pairs, 2, 5, 6), *masks)


def huber(z: Tensor, motion: ClipMotion, bend: float) -> float:
    there = (1 - motion.forward_occluded) * (warp(z[1:], motion.forward_flow, "border") - z[:-1])
    back = (1 - motion.backward_occluded) * (warp(z[:-1], motion.backward_flow, "border") - z[1:])
    return sum(float(torch.nn.functional.huber_loss(r, 0 * r, reduction="sum", delta=bend)) for r in (there, back))


def published_loss(z: Tensor, motion: ClipMotion) -> Tensor:
    """specs/mgld.md, section 2.9, word by word."""
    total = torch.zeros((), dtype=z.dtype)
    before = torch.zeros_like(z[:1])
    for i in reversed(range(len(z) - 1)):
        total = total + ((1 - motion.forward_occluded[i]) * (before - z[i])).abs().mean()
        before = warp(z[i : i + 1], motion.forward_flow[i : i + 1])
    before = torch.zeros_like(z[:1])
    for i in range(1, len(z)):
        total = total + ((1 - motion.backward_occluded[i - 1]) * (before - z[i])).abs().mean()
        before = warp(z[i : i + 1], motion.backward_flow[i - 1 : i])
    return total


def corrected_loss(z: Tensor, motion: ClipMotion) -> Tensor:
    total = torch.zeros((), dtype=z.dtype)
    for i in range(len(z) - 1):
        after = warp(z[i + 1 : i + 2], motion.forward_flow[i : i + 1], "border")
        earlier = warp(z[i : i + 1], motion.backward_flow[i : i + 1], "border")
        total = total + ((1 - motion.forward_occluded[i]) * (after - z[i])).abs().sum()
        total = total + ((1 - motion.backward_occluded[i]) * (earlier - z[i + 1])).abs().sum()
    return total


def test_the_gradients_by_hand() -> None:
    """The scene moves a pixel to the right; what leaves and what comes in is seen in one frame only."""
    z = torch.cat([row(1, 5, 2), row(4, 3, 3)])
    motion = ClipMotion(sliding(1), sliding(-1), row(0, 0, 1), row(1, 0, 0))
    torch.testing.assert_close(warping_gradient(z, motion), torch.cat([row(-2, 2, 0), row(0, 2, -2)]))
    expected = torch.cat([row(1, 1, 0), row(0, 1, 1)]) / 3
    torch.testing.assert_close(warping_gradient(z, motion, "reference"), expected)


def test_the_loss_by_hand() -> None:
    z = torch.cat([row(1, 5, 2), row(4, 3, 3)])
    motion = ClipMotion(sliding(1), sliding(-1), row(0, 0, 1), row(1, 0, 0))
    assert warping_loss(z, motion) == 2.0
    hidden = ClipMotion(sliding(1), sliding(-1), row(1, 1, 1), row(1, 1, 1))
    assert warping_loss(z, hidden) == 0.0


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_that_of_finite_differences(form: GuidanceForm) -> None:
    z, motion = random_clip(4)
    loss = published_loss if form == "reference" else corrected_loss
    gradient = warping_gradient(z, motion, form)
    for index in range(0, z.numel(), 3):
        nudge = torch.zeros_like(z)
        nudge.view(-1)[index] = 1e-7
        slope = float(loss(z + nudge, motion) - loss(z - nudge, motion)) / 2e-7
        assert float(gradient.view(-1)[index]) == pytest.approx(slope, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 9), chunk=st.integers(1, 9), form=st.sampled_from(FORMS))
def test_the_chunk_changes_nothing(frames: int, chunk: int, form: GuidanceForm) -> None:
    z, motion = random_clip(frames)
    whole = warping_gradient(z, motion, form, 100)
    torch.testing.assert_close(warping_gradient(z, motion, form, chunk), whole, rtol=0, atol=1e-12)
    assert bool(whole.any()) == (frames > 1)
    if form == "corrected":
        steps = [guided(z, motion, GuidanceConfig(scale=1.5, chunk=size), 0.7) for size in (100, chunk)]
        torch.testing.assert_close(*steps, rtol=0, atol=1e-12)


def test_a_corrected_gradient_knows_no_number_of_frames_nor_size() -> None:
    """Twice the clip, side by side, or the clip after itself, hidden from itself: the same gradient twice."""
    z, motion = random_clip(3)
    alone = warping_gradient(z, motion)
    gap = [tensor[:1] for tensor in (motion.forward_flow, motion.backward_flow)] + [torch.ones(1, 1, 5, 6)] * 2
    parts = zip(vars(motion).values(), gap, strict=True)
    twice = ClipMotion(*(torch.cat([part, cut, part]) for part, cut in parts))
    torch.testing.assert_close(warping_gradient(torch.cat([z, z]), twice), torch.cat([alone, alone]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_it_works_in_inference_mode_and_leaves_its_input_alone(dtype: torch.dtype) -> None:
    z, motion = clip_and_motion()
    outside = guided(z.to(dtype), motion, GuidanceConfig(), 1.0), warping_gradient(z.to(dtype), motion)
    with torch.inference_mode():
        inner, moved = z.to(dtype).clone(), ClipMotion(*(tensor.clone() for tensor in vars(motion).values()))
        inside = guided(inner, moved, GuidanceConfig(), 1.0), warping_gradient(inner, moved)
        assert torch.equal(inner, z.to(dtype))
    for there, here in zip(outside, inside, strict=True):
        assert here.dtype == dtype
        assert not here.requires_grad
        assert torch.equal(there, here)


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(2, 5), seed=st.integers(0, 999), scale=st.floats(0.01, 3), sigma=st.floats(0.02, 50),
    flow=st.floats(0, 4),
)  # fmt: skip
def test_steps_never_raise_the_error_whatever_the_flow(
    frames: int, seed: int, scale: float, sigma: float, flow: float
) -> None:
    z, motion = random_clip(frames, seed, flow)
    after = guided(z, motion, GuidanceConfig(scale=scale, keep_detail=False), sigma)
    assert huber(after, motion, sigma) <= huber(z, motion, sigma) * (1 + 1e-9)


@pytest.mark.parametrize("sigma", [0.05, 0.5, float("inf")])
def test_a_step_is_bounded_by_the_disagreement_and_by_the_noise(sigma: float) -> None:
    z, motion = random_clip(5)
    there = (1 - motion.forward_occluded) * (warp(z[1:], motion.forward_flow, "border") - z[:-1])
    back = (1 - motion.backward_occluded) * (warp(z[:-1], motion.backward_flow, "border") - z[1:])
    largest = float(torch.cat([there, back]).abs().max())
    moved = (guided(z, motion, GuidanceConfig(scale=1, keep_detail=False), sigma) - z).abs().max()
    assert 0 < float(moved) <= min(largest, sigma) / 2


def test_what_alternates_along_the_motion_goes_in_one_step() -> None:
    still = torch.zeros(5, 2, 4, 4)
    motion = ClipMotion(still, still, still[:, :1], still[:, :1])
    beat = torch.tensor([1.0, -1.0] * 3).view(6, 1, 1, 1) * torch.randn(3, 4, 4, generator=torch.Generator())
    after = guided(beat, motion, GuidanceConfig(scale=1, keep_detail=False), float("inf"))
    torch.testing.assert_close(after, torch.zeros_like(beat), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale_sigma", [(0.0, 1.0), (1.0, 0.0)])
def test_no_scale_or_no_noise_is_no_step(scale_sigma: tuple[float, float]) -> None:
    z, motion = clip_and_motion()
    assert torch.equal(guided(z, motion, GuidanceConfig(scale=scale_sigma[0]), scale_sigma[1]), z)


def test_what_is_hidden_or_alone_stays() -> None:
    z, motion = random_clip(3)
    hidden = ClipMotion(motion.forward_flow, motion.backward_flow, *[torch.ones(2, 1, 5, 6)] * 2)
    assert torch.equal(guided(z, hidden, GuidanceConfig(), 1.0), z)
    assert torch.equal(guided(z[:1], motion.frames(0, 1), GuidanceConfig(), 1.0), z[:1])


@pytest.mark.parametrize("sigma", [0.03, 0.5, 10.0, float("inf")])
def test_a_clip_that_agrees_keeps_its_detail(sigma: float) -> None:
    z, motion = clip_and_motion()
    after = guided(z, motion, GuidanceConfig(scale=1), sigma)
    assert float((after - z).std()) < 0.005 * float(z.std())
    assert sharpness(after) == pytest.approx(sharpness(z), rel=0.005)


@pytest.mark.parametrize(
    ("detail", "scale", "error", "sharp"),
    [(0.1, 0.5, 0.87, 0.98), (0.3, 0.5, 0.9, 0.99), (0.1, 1.0, 0.73, 0.96), (0.3, 1.0, 0.78, 0.99)],
)
def test_detail_that_flickers_gets_steadier_and_stays_sharp(
    detail: float, scale: float, error: float, sharp: float
) -> None:
    """At every step of a sampler that invents each frame's detail alone."""
    clip, motion = clip_and_motion()
    alone = sample_alone(clip, lambda denoised, sigma: denoised, detail)
    config = GuidanceConfig(scale=scale)
    together = sample_alone(clip, lambda denoised, sigma: guided(denoised, motion, config, sigma), detail)
    assert warping_error(together, motion) < error * warping_error(alone, motion)
    assert sharpness(together) > sharp * sharpness(alone)
    assert float((together - clip).std()) < float((alone - clip).std())


def test_the_directions_are_not_mixed_up() -> None:
    clip, motion = clip_and_motion()
    swapped = ClipMotion(motion.backward_flow, motion.forward_flow, motion.backward_occluded, motion.forward_occluded)
    assert warping_loss(clip, motion) < 0.2 * warping_loss(clip, swapped)
    assert sharpness(guided(clip, swapped, GuidanceConfig(keep_detail=False), 5.0)) < 0.8 * sharpness(clip)


def test_the_published_step_follows_its_gradient() -> None:
    z, motion = random_clip(3)
    step = published_step(z, motion, -2.5, GuidanceConfig(form="reference", scale=10))
    torch.testing.assert_close(step, z - 25 * warping_gradient(z, motion, "reference"))
    assert float(published_loss(step, motion)) < float(published_loss(z, motion))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "paper"}, "form reference or corrected, got 'paper'"),
        ({"scale": -1.0}, "scale of 0 or more, got -1"),
        ({"scale": float("nan")}, "scale of 0 or more, got nan"),
        ({"chunk": 0}, "chunk of 1 pair or more, got 0"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        GuidanceConfig(**settings)  # type: ignore[arg-type]


def test_what_does_not_fit_is_named() -> None:
    z, motion = random_clip(3)
    with pytest.raises(ShapeError, match=r"motion's 3 frames of size \(5, 6\), got \(2, 2, 5, 6\)"):
        warping_gradient(z[:2], motion)
    with pytest.raises(ShapeError, match="put frames in the batch"):
        guided(z[None], motion, GuidanceConfig(), 1.0)
    with pytest.raises(SettingError, match="use published_step"):
        guided(z, motion, GuidanceConfig(form="reference"), 1.0)
    with pytest.raises(SettingError, match="sigma of 0 or more, got -1"):
        guided(z, motion, GuidanceConfig(), -1.0)
