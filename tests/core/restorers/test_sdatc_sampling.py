"""SDATC's sampling of a clip: equations 2, 3, 12 and 13, tiles, and frames that are known."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.diffusion.frame_noise import BEGINNING
from textovsr.core.diffusion.schedules import respaced, trained_schedule
from textovsr.core.diffusion.tiles import Tiling
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.restorers.sdatc.config import FlowGuidance, SdatcConfig
from textovsr.core.restorers.sdatc.sampling import Clip, ClipSampler, equation_step
from textovsr.models.warp import warp
from textovsr.tests.helpers.sdatc import TEXT, noise, tiny_networks

FRAMES, SIZE = 3, (8, 12)
CONFIG = SdatcConfig(steps=4, guidance=None)
CONDITION = noise(1, FRAMES, 4, *SIZE)


class Knows(nn.Module):
    """A denoiser that takes all that differs from what it knows for noise."""

    def __init__(self, clean: Tensor) -> None:
        super().__init__()
        self.clean = clean
        self.seen: list[tuple[int, int]] = []

    def forward(self, z: Tensor, timestep: int, text: Tensor, condition: Tensor) -> Tensor:
        self.seen.append((timestep, len(z)))
        kept = float(trained_schedule().alphas_cumprod[timestep])
        return (z - kept**0.5 * self.clean[: len(z)]) / (1 - kept) ** 0.5


def shift() -> ClipMotion:
    """Everything moves right by a pixel, and nothing is hidden but what leaves."""
    flow = torch.zeros(FRAMES - 1, 2, *SIZE)
    flow[:, 0] = 1.0
    gone = torch.zeros(FRAMES - 1, 1, *SIZE)
    forward, backward = gone.clone(), gone.clone()
    forward[..., -1], backward[..., 0] = 1, 1
    return ClipMotion(flow, -flow, forward, backward)


def draws(step: int) -> Tensor:
    return noise(100 + step, FRAMES, 4, *SIZE)


def clip(motion: ClipMotion | None = None, known: int = 0) -> Clip:
    return Clip(CONDITION, noise(2, FRAMES, 7, TEXT), motion, draws, 2 * CONDITION[:known])


def sampler(denoiser: nn.Module, config: SdatcConfig = CONFIG, **others: Any) -> ClipSampler:
    settings = {"tiling": Tiling(16, 8), "at_once": 5, "check": lambda: None, **others}
    return ClipSampler(cast("Any", denoiser), config=config, **settings)


@pytest.mark.parametrize("start", ["condition", "noise"])
@torch.inference_mode()
def test_the_first_noise_is_that_of_the_last_trained_step(start: str) -> None:
    """Eq. 2, or noise alone; then the timesteps are evenly spread, downwards."""
    denoiser, begun = Knows(CONDITION), []
    denoiser.register_forward_hook(lambda _, inputs, __: begun.append(inputs[0].clone()))
    sampler(denoiser, replace(CONFIG, start=start)).sample(clip())
    kept = float(trained_schedule().alphas_cumprod[999])
    expected = kept**0.5 * CONDITION + (1 - kept) ** 0.5 * draws(BEGINNING)
    torch.testing.assert_close(begun[0], expected if start == "condition" else draws(BEGINNING))
    assert [timestep for timestep, _ in denoiser.seen] == [999, 666, 333, 0]


@torch.inference_mode()
def test_a_denoiser_that_knows_ends_at_what_it_knows() -> None:
    torch.testing.assert_close(sampler(Knows(CONDITION)).sample(clip()), CONDITION, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_a_step_is_the_papers() -> None:
    """Eq. 3: (z - (1 - alpha) / sqrt(1 - abar) eps) / sqrt(alpha) + sigma n, of the respaced schedule."""
    predicted = noise(5, FRAMES, 4, *SIZE)
    steps: list[Tensor] = []

    class Says(nn.Module):
        def forward(self, z: Tensor, timestep: int, text: Tensor, condition: Tensor) -> Tensor:
            steps.append(z.clone())
            return predicted

    last = sampler(Says(), replace(CONFIG, steps=3)).sample(clip())
    schedule = respaced(trained_schedule(), 3)
    kept, alphas = schedule.alphas_cumprod, 1 - schedule.betas
    for made, index in enumerate((2, 1, 0)):
        mean = (steps[made] - (1 - alphas[index]) / (1 - kept[index]) ** 0.5 * predicted) / alphas[index] ** 0.5
        variance = (1 - kept[index - 1]) / (1 - kept[index]) * schedule.betas[index] if index else 0.0
        expected = mean + variance**0.5 * draws(made)
        torch.testing.assert_close([*steps, last][made + 1], expected.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("by", ["var", "logvar"])
def test_the_guidance_step_is_the_papers(by: str) -> None:
    """Eq. 12 and 13, with autograd over the error as it is written."""
    motion, log_variance = shift(), -3.0
    z = noise(7, FRAMES, 4, *SIZE).requires_grad_()
    error = torch.zeros(())
    for i in range(FRAMES - 1):
        there = warp(z[i + 1 : i + 2], motion.forward_flow[i : i + 1], "border")
        back = warp(z[i : i + 1], motion.backward_flow[i : i + 1], "border")
        error = error + ((1 - motion.forward_occluded[i]) * (there - z[i : i + 1])).abs().sum() / z[0].numel()
        error = error + ((1 - motion.backward_occluded[i]) * (back - z[i + 1 : i + 2])).abs().sum() / z[0].numel()
    (gradient,) = torch.autograd.grad(error, z)
    strength = math.exp(log_variance) if by == "var" else 3.0
    expected = z.detach() - 50.0 * strength * gradient
    guidance = FlowGuidance("step", 50.0, by)  # type: ignore[arg-type]
    torch.testing.assert_close(equation_step(z.detach(), motion, log_variance, guidance), expected)


@pytest.mark.parametrize("guidance", [FlowGuidance(), FlowGuidance("step", 0.2), FlowGuidance("step", 20.0, "var")])
@torch.inference_mode()
def test_guided_frames_agree_more_along_the_motion(guidance: FlowGuidance) -> None:
    """With a denoiser that is content with what it sees; steps down a mean are larger in so small a frame."""

    class Content(nn.Module):
        def forward(self, z: Tensor, timestep: int, text: Tensor, condition: Tensor) -> Tensor:
            return 0.9 * z

    def error(config: SdatcConfig) -> float:
        latents = sampler(Content(), config).sample(clip(shift()))
        return float((latents[1:, ..., 1:] - latents[:-1, ..., :-1]).abs().mean() / latents.abs().mean())

    plain, guided = error(replace(CONFIG, steps=8)), error(replace(CONFIG, steps=8, guidance=guidance))
    assert guided < 0.97 * plain


@torch.inference_mode()
def test_known_frames_are_kept_and_seen_with_the_noise_of_each_step() -> None:
    denoiser, seen = Knows(CONDITION), []
    denoiser.register_forward_hook(lambda _, inputs, __: seen.append((inputs[1], inputs[0][0].clone())))
    known = clip(known=1)
    found = sampler(denoiser).sample(known)
    torch.testing.assert_close(found[0], known.known[0], rtol=0, atol=0)
    torch.testing.assert_close(found[1:], CONDITION[1:], rtol=0, atol=1e-4)
    for timestep, first in seen:
        expected = trained_schedule().add_noise(known.known[0], draws(BEGINNING)[0], timestep)
        torch.testing.assert_close(first, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_frames_go_through_the_denoiser_in_any_number_and_in_tiles() -> None:
    def sampled(at_once: int, tiling: Tiling = Tiling(16, 8)) -> Tensor:  # noqa: B008 - frozen
        return sampler(tiny_networks()["denoiser"], at_once=at_once, tiling=tiling).sample(clip())

    whole = sampled(5)
    torch.testing.assert_close(sampled(1), whole, rtol=1e-4, atol=1e-4)
    tiles = sampled(2, Tiling(8, 4))
    assert tiles.shape == whole.shape
    assert tiles.isfinite().all()
    knows = Knows(CONDITION)
    sampler(knows, at_once=2).sample(clip())
    assert [frames for _, frames in knows.seen] == [2, 1] * 4


def test_it_stops_between_pieces_of_a_step() -> None:
    """Asked before every group of frames and after every step."""
    asked: list[int] = []
    told: list[tuple[int, int]] = []
    check: Callable[[], None] = lambda: asked.append(len(told))  # noqa: E731 - short
    with torch.inference_mode():
        sampler(Knows(CONDITION), at_once=1, check=check, tell=lambda *done: told.append(done)).sample(clip())
    assert [asked.count(step) for step in range(4)] == [4, 4, 4, 4]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
