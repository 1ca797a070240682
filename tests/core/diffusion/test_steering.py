"""Motion guidance beside a sampler: which steps, which shapes, which noise levels."""

import math

import pytest
import torch

from textovsr.core.diffusion.config import GuidanceConfig
from textovsr.core.diffusion.guidance import guided, published_step
from textovsr.core.diffusion.steering import GuidanceSteps, MotionSteering
from textovsr.core.errors import SettingError
from textovsr.core.motion.clip_motion import ClipMotion


@pytest.fixture
def motion() -> ClipMotion:
    generator = torch.Generator().manual_seed(1)
    flows = torch.randn(2, 3, 2, 6, 7, generator=generator)
    return ClipMotion(*flows, *torch.randint(0, 2, (2, 3, 1, 6, 7), generator=generator).float())


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(4, 3, 6, 7, generator=torch.Generator().manual_seed(2))


def test_steps_are_counted_from_the_first() -> None:
    steps = GuidanceSteps(2, 9, 3)
    assert [step for step in range(12) if step in steps] == [2, 5, 8]
    assert all(step in GuidanceSteps() for step in range(200))


def test_steps_out_of_range_are_named() -> None:
    with pytest.raises(SettingError, match=r"every one or more, got 0 to 5, every 0"):
        GuidanceSteps(0, 5, 0)


def test_the_corrected_form_guides_predictions_only(motion: ClipMotion, latents: torch.Tensor) -> None:
    config = GuidanceConfig()
    steering = MotionSteering(motion, config, GuidanceSteps(1))
    assert steering.denoised(latents, 0, 1.0) is latents
    assert torch.equal(steering.denoised(latents, 1, 1.5), guided(latents, motion, config, 1.5))
    assert steering.after_steps is False
    assert steering.stepped(latents, 1, (1.5, 1.0)) is latents


def test_the_reference_form_guides_noisy_latents_of_unit_size(motion: ClipMotion, latents: torch.Tensor) -> None:
    """DDPM's posterior between the noise levels, in terms of what is kept of the data."""
    config = GuidanceConfig("reference", 10.0)
    steering = MotionSteering(motion, config, GuidanceSteps(0, 2))
    assert steering.denoised(latents, 1, 1.0) is latents
    assert steering.stepped(latents, 2, (1.5, 1.0)) is latents
    kept = 1 / (1 + 1.5**2), 1 / (1 + 1.0**2)
    beta = 1 - kept[0] / kept[1]
    variance = beta * (1 - kept[1]) / (1 - kept[0])
    expected = published_step(latents / math.sqrt(2), motion, math.log(variance), config) * math.sqrt(2)
    torch.testing.assert_close(steering.stepped(latents, 1, (1.5, 1.0)), expected)


def test_the_last_step_has_the_published_least_variance(motion: ClipMotion, latents: torch.Tensor) -> None:
    config = GuidanceConfig("reference", 10.0)
    found = MotionSteering(motion, config, GuidanceSteps()).stepped(latents, 3, (0.03, 0.0))
    torch.testing.assert_close(found, published_step(latents, motion, math.log(1e-20), config))


@pytest.mark.parametrize("form", ["corrected", "reference"])
def test_latents_of_video_models_are_guided_alike(form: str, motion: ClipMotion, latents: torch.Tensor) -> None:
    steering = MotionSteering(motion, GuidanceConfig(form), GuidanceSteps())  # type: ignore[arg-type]

    def run(x: torch.Tensor) -> torch.Tensor:
        return steering.denoised(x, 0, 1.0) if form == "corrected" else steering.stepped(x, 0, (1.0, 0.5))

    expected = run(latents)
    assert not torch.equal(expected, latents)
    torch.testing.assert_close(run(latents[:, :, None]), expected[:, :, None])
    videos = torch.stack([latents.movedim(0, 1), latents.flip(0).movedim(0, 1)])  # (B,C,T,h,w)
    torch.testing.assert_close(run(videos)[0], expected.movedim(0, 1))
    torch.testing.assert_close(run(videos)[1], run(latents.flip(0)).movedim(0, 1))
