"""Noise schedules: the published numbers, and the laws that any has to obey."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.diffusion.schedules import posterior_log_variance, respaced, trained_schedule
from textovsr.core.errors import SettingError
from textovsr.tests.helpers.mgld import mgld_golden

ZERO = torch.zeros(1, dtype=torch.float64)


def test_the_trained_betas_are_stable_diffusions() -> None:
    betas = trained_schedule().betas
    assert (betas[0], betas[-1]) == (pytest.approx(0.00085), pytest.approx(0.012))
    np.testing.assert_allclose(np.diff(np.sqrt(betas)), np.sqrt(betas[1]) - np.sqrt(betas[0]))
    assert trained_schedule().sigmas[-1] == pytest.approx(14.6146, abs=1e-4)


def test_the_published_log_variances() -> None:
    """specs/mgld.md, section 2.9: of 50 steps."""
    schedule = respaced(trained_schedule(), 50)
    found = [schedule.posterior(ZERO, ZERO, index)[1] for index in (49, 25, 10, 1, 0)]
    np.testing.assert_allclose(found, [-1.55, -2.38, -3.32, -7.12, -46.05], atol=5e-3)
    assert schedule.timesteps[:3] == (0, 20, 41)
    assert schedule.timesteps[-1] == 999


def test_the_first_latents_are_the_published_ones() -> None:
    golden = mgld_golden()
    found = trained_schedule().add_noise(golden["in.lr_latent"], golden["in.noise0"], 999)
    torch.testing.assert_close(found, golden["out.x_T"], rtol=0, atol=1e-6)


@given(steps=st.integers(2, 1000))
def test_fewer_steps_have_the_same_noise(steps: int) -> None:
    trained = trained_schedule()
    schedule = respaced(trained, steps)
    assert schedule.timesteps[0] == 0
    assert schedule.timesteps[-1] == 999
    assert list(schedule.timesteps) == sorted(set(schedule.timesteps))
    kept = trained.alphas_cumprod[list(schedule.timesteps)]
    np.testing.assert_allclose(schedule.alphas_cumprod, kept, rtol=1e-6)


@given(steps=st.integers(2, 100), part=st.floats(0, 1))
def test_the_posterior_is_that_of_two_gaussians(steps: int, part: float) -> None:
    """Bayes: x_s has mean sqrt(abar_s) x0 and variance 1 - abar_s; x_t = sqrt(a) x_s + noise of variance 1 - a."""
    schedule = respaced(trained_schedule(), steps)
    index = 1 + round(part * (steps - 2))
    before, after = schedule.alphas_cumprod[index - 1], schedule.alphas_cumprod[index]
    ratio = after / before
    precision = 1 / (1 - before) + ratio / (1 - ratio)
    x, clean = ZERO + 0.7, ZERO - 1.3
    mean, log_variance = schedule.posterior(x, clean, index)
    assert log_variance == pytest.approx(-math.log(precision), abs=1e-4)
    expected = (before**0.5 * -1.3 / (1 - before) + ratio**0.5 / (1 - ratio) * 0.7) / precision
    assert float(mean) == pytest.approx(expected, abs=1e-4)
    by_sigmas = posterior_log_variance(schedule.sigmas[index], schedule.sigmas[index - 1])
    assert by_sigmas == pytest.approx(log_variance, abs=1e-4)


def test_the_last_step_ends_at_the_clean_latents() -> None:
    schedule = respaced(trained_schedule(), 10)
    mean, log_variance = schedule.posterior(ZERO + 5, ZERO + 2, 0)
    assert float(mean) == pytest.approx(2, abs=1e-6)
    assert log_variance == pytest.approx(math.log(1e-20))
    assert posterior_log_variance(0.03, 0.0) == pytest.approx(math.log(1e-20))


@given(index=st.integers(0, 999), clean=st.floats(-5, 5), noise=st.floats(-5, 5))
def test_the_noise_that_was_added_is_taken_out_again(index: int, clean: float, noise: float) -> None:
    schedule = trained_schedule()
    x = schedule.add_noise(ZERO + clean, ZERO + noise, index)
    assert float(schedule.predict_clean(x, ZERO + noise, index)) == pytest.approx(clean, abs=1e-5)


@pytest.mark.parametrize("steps", [1, 1001])
def test_a_number_of_steps_out_of_range_is_named(steps: int) -> None:
    with pytest.raises(SettingError, match=f"2 to 1000 steps, got {steps}"):
        respaced(trained_schedule(), steps)
