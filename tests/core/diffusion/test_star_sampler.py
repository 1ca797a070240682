"""STAR's noise levels and solver give the published numbers."""

import itertools
import math
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.diffusion.config import LevelMode
from textovsr.core.diffusion.dpm_solver import sample_dpmpp_2m_sde
from textovsr.core.diffusion.frame_noise import frame_noise
from textovsr.core.diffusion.log_snr import LAST, alpha_sigma, noise_levels, trained_sigmas
from textovsr.core.errors import SettingError
from textovsr.tests.helpers.rule import GOLDEN

FAST = (899, 799, 699, 599, 500, 454, 409, 363, 318, 272, 227, 181, 136, 90)


@lru_cache(maxsize=1)
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "star_sampler.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def test_the_trained_levels_are_the_published_ones() -> None:
    """Bit by bit."""
    assert torch.equal(trained_sigmas(), golden()["sigmas_vp"])
    alpha, sigma = alpha_sigma(LAST)
    assert alpha**2 + sigma**2 == pytest.approx(1, abs=1e-6)
    assert alpha_sigma(999) == (0.0, 1.0)


@pytest.mark.parametrize(("mode", "steps"), [("fast", 15), ("normal", 15), ("normal", 20), ("normal", 50)])
def test_the_levels_of_a_run_are_the_published_ones(mode: LevelMode, steps: int) -> None:
    """Bit by bit."""
    found = torch.tensor(noise_levels(mode, steps).sigmas)
    assert torch.equal(found, golden()[f"sig_{mode}_{steps}"])


def test_the_fast_steps_are_the_published_ones() -> None:
    assert noise_levels("fast", 15).timesteps == FAST


@pytest.mark.parametrize("mode", ["fast", "normal"])
def test_any_number_of_steps(mode: LevelMode) -> None:
    for steps in (*range(2, 40), 64, 100, 499, 1000):
        levels = noise_levels(mode, steps)
        assert len(levels.timesteps) == len(levels.sigmas) - 1 == (steps if mode == "normal" else steps - 1)
        assert levels.timesteps[0] == LAST
        assert all(a > b for a, b in zip(levels.sigmas[:-1], levels.sigmas[1:], strict=True)), steps
        assert levels.sigmas[-1] == 0
        for sigma, timestep in zip(levels.sigmas[:-1], levels.timesteps, strict=True):
            near = [alpha_sigma(min(max(t, 0), 998)) for t in (timestep - 1, timestep + 1)]
            assert near[0][1] / near[0][0] <= sigma <= near[1][1] / near[1][0]


@pytest.mark.parametrize(("mode", "steps"), [("fast", 1), ("quick", 15)])
def test_too_few_steps_and_unknown_modes_are_named(mode: LevelMode, steps: int) -> None:
    with pytest.raises(SettingError, match=f"2 steps or more, fast or normal, got {steps}, '{mode}'"):
        noise_levels(mode, steps)


def test_the_solver_is_of_second_order() -> None:
    """Without noise it solves dx/ds = (x - x0(s)) / s; here x0(s) = sin(ln s), which can be integrated."""

    def part(s: float) -> float:
        return -(math.sin(math.log(s)) + math.cos(math.log(s))) / (2 * s)

    def error(count: int) -> float:
        sigmas, seen = [10.0 * 0.1 ** (i / count) for i in range(count + 1)], []

        def predict(x: Tensor, step: int) -> Tensor:
            seen.append(float(x))
            return torch.tensor(math.sin(math.log(sigmas[step])), dtype=torch.float64)

        start = torch.tensor(3.0, dtype=torch.float64)
        sample_dpmpp_2m_sde(predict, start, [*sigmas, 0.0], lambda step: start * math.nan, eta=0.0)
        return abs(seen[-1] - (3.0 / 10.0 + part(10.0) - part(1.0)))

    errors = [error(count) for count in (20, 40, 80)]
    assert errors[2] < 1e-3
    assert all(3.5 < a / b < 4.5 for a, b in itertools.pairwise(errors))


def test_as_much_noise_is_added_as_the_level_asks_for() -> None:
    """Clean latents of zero leave nothing but noise, of the deviation that the level has."""
    sigmas = (8.0, 4.0, 1.0, 0.5, 0.0)
    seen: list[Tensor] = []

    def predict(x: Tensor, step: int) -> Tensor:
        seen.append(x)
        return torch.zeros_like(x)

    def noise(step: int) -> Tensor:
        return frame_noise(0, str(step), range(8), (4, 64, 64))

    sample_dpmpp_2m_sde(predict, sigmas[0] * frame_noise(0, "first", range(8), (4, 64, 64)), sigmas, noise)
    for x, sigma in zip(seen, sigmas, strict=False):
        assert float(x.std()) == pytest.approx(sigma, rel=0.01)


def test_noise_follows_seed_kind_and_frame() -> None:
    noise = frame_noise(1, "2", range(3, 6), (4, 2, 2))
    assert noise.shape == (3, 4, 2, 2)
    assert torch.equal(frame_noise(1, "2", [5, 3], (4, 2, 2)), noise[[2, 0]])
    others = [frame_noise(2, "2", [3], (4, 2, 2)), frame_noise(1, "3", [3], (4, 2, 2)), noise[1:2]]
    assert all(not torch.equal(other[0], noise[0]) for other in others)
