"""Ancestral sampling: against the published sampler, and where the answer is known."""

import pytest
import torch
from torch import Tensor

from textovsr.core.diffusion.config import GuidanceConfig
from textovsr.core.diffusion.guidance import published_step
from textovsr.core.diffusion.samplers import sample_ddpm
from textovsr.core.diffusion.schedules import respaced, trained_schedule
from textovsr.core.diffusion.tiles import Tiling, average_tiles
from textovsr.core.errors import CancelledError
from textovsr.tests.helpers.mgld import golden_motion, mgld_golden, small_struct, small_unet


@torch.inference_mode()
def test_canvas_and_guidance_together_are_the_published_sampler() -> None:
    """Golden: 3 steps over tiles, guided in the reference form, latents up to 66; reached 1e-4, 1e-6 of the norm."""
    golden, motion = mgld_golden(), golden_motion()
    lr, context = golden["in.lr_latent"], golden["in.context"].expand(5, -1, -1)

    def denoise(x: Tensor, timestep: int) -> Tensor:
        def part(rows: slice, columns: slice) -> Tensor:
            steps = torch.full((5,), timestep)
            structure = small_struct()(lr[..., rows, columns], steps)
            return small_unet()(x[..., rows, columns], steps, context, structure, 5)

        return average_tiles(part, (x.shape[-2], x.shape[-1]), Tiling(32, 16, published=True))

    trained, config = trained_schedule(), GuidanceConfig(form="reference", scale=10)
    found = sample_ddpm(
        denoise,
        trained.add_noise(lr, golden["in.noise0"], 999),
        respaced(trained, 3),
        lambda made: golden["in.step_noise"][made],
        lambda x, log_variance: published_step(x, motion, log_variance, config),
    )
    expected = golden["out.sampled"]
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-4)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


def test_the_distribution_of_a_gaussian_is_found() -> None:
    """Data of mean 2 and deviation 0.5: the true noise prediction leads there, within what 50 steps allow."""
    schedule = respaced(trained_schedule(), 50)
    kept = dict(zip(schedule.timesteps, schedule.alphas_cumprod, strict=True))
    generator = torch.Generator().manual_seed(0)

    def denoise(x: Tensor, timestep: int) -> Tensor:
        share = kept[timestep]
        variance = share * 0.25 + 1 - share
        return (1 - share) ** 0.5 * (x - share**0.5 * 2.0) / variance

    x = torch.randn(20_000, generator=generator)
    found = sample_ddpm(denoise, x, schedule, lambda made: torch.randn(20_000, generator=generator))
    assert float(found.mean()) == pytest.approx(2, abs=0.1)
    assert float(found.std()) == pytest.approx(0.5, abs=0.06)


def test_the_hook_sees_every_step_and_may_cancel() -> None:
    schedule = respaced(trained_schedule(), 4)
    seen: list[float] = []
    asked: list[int] = []

    def noise(made: int) -> Tensor:
        asked.append(made)
        return torch.zeros(1)

    def watch(x: Tensor, log_variance: float) -> Tensor:
        seen.append(log_variance)
        return x

    def stop(x: Tensor, log_variance: float) -> Tensor:
        raise CancelledError("stopped")

    sample_ddpm(lambda x, timestep: x, torch.ones(1), schedule, noise, watch)
    assert asked == [0, 1, 2]
    assert len(seen) == 4
    assert seen == sorted(seen, reverse=True)
    with pytest.raises(CancelledError):
        sample_ddpm(lambda x, timestep: x, torch.ones(1), schedule, noise, stop)
