"""Noise schedules of discrete diffusion (Ho et al., NeurIPS 2020), with fewer steps than they were trained with.

With a_t = 1 - beta_t and abar_t their product, noisy latents are sqrt(abar_t) x0 + sqrt(1 - abar_t) n.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError

TRAINED_STEPS = 1000
_BETAS = (0.00085, 0.012)
_LEAST_VARIANCE = 1e-20


@dataclass(frozen=True)
class Schedule:
    """A schedule of n steps, each with its timestep of the trained one, least noise first.

    Attributes:
        timesteps: n of 0 to 999, ascending.
        betas: (n,) float64, of these steps.
    """

    timesteps: tuple[int, ...]
    betas: np.ndarray

    @property
    def length(self) -> int:
        """n."""
        return len(self.timesteps)

    @property
    def alphas_cumprod(self) -> np.ndarray:
        """abar, (n,) float64."""
        return np.cumprod(1.0 - self.betas)

    @property
    def sigmas(self) -> np.ndarray:
        """Deviation of the noise over that of the data, sqrt((1 - abar) / abar), (n,) float64, ascending."""
        return np.sqrt(1.0 / self.alphas_cumprod - 1.0)

    def add_noise(self, clean: Tensor, noise: Tensor, index: int) -> Tensor:
        """Clean latents with the noise of step ``index``: sqrt(abar) x0 + sqrt(1 - abar) n (eq. 4)."""
        kept = float(self.alphas_cumprod[index])
        return _float32(kept**0.5) * clean + _float32((1.0 - kept) ** 0.5) * noise

    def predict_clean(self, x: Tensor, noise: Tensor, index: int) -> Tensor:
        """The clean latents that noisy ones ``x`` hold if ``noise`` is what was added."""
        kept = float(self.alphas_cumprod[index])
        return _float32((1.0 / kept) ** 0.5) * x - _float32((1.0 / kept - 1.0) ** 0.5) * noise

    def posterior(self, x: Tensor, clean: Tensor, index: int) -> tuple[Tensor, float]:
        """The step from ``index`` to the one below (eq. 6 and 7).

        Args:
            x: noisy latents of step ``index``.
            clean: the predicted clean ones, not clipped.
            index: 0 to n - 1.

        Returns:
            The mean, and the logarithm of the variance, clipped at log 1e-20 where the step ends at clean latents.
        """
        kept, beta = self.alphas_cumprod, float(self.betas[index])
        after, before = float(kept[index]), float(kept[index - 1]) if index else 1.0
        of_clean = beta * before**0.5 / (1.0 - after)
        of_x = (1.0 - before) * (1.0 - beta) ** 0.5 / (1.0 - after)
        variance = beta * (1.0 - before) / (1.0 - after)
        log_variance = _float32(np.log(max(variance, _LEAST_VARIANCE)))
        return _float32(of_clean) * clean + _float32(of_x) * x, log_variance


def trained_schedule() -> Schedule:
    """Stable Diffusion's 1000 steps: betas whose square roots are evenly spaced from 0.00085 to 0.012."""
    low, high = _BETAS
    return Schedule(tuple(range(TRAINED_STEPS)), np.linspace(low**0.5, high**0.5, TRAINED_STEPS) ** 2)


def respaced(schedule: Schedule, steps: int) -> Schedule:
    """The same noise in fewer steps, the timesteps evenly spread from first to last: round(i (N-1) / (steps-1)).

    New betas make abar at the kept timesteps what it was, as a float32: the published code keeps it so.

    Raises:
        SettingError: fewer than 2 steps, or more than there are.
    """
    if not 2 <= steps <= schedule.length:
        raise SettingError(f"Expected 2 to {schedule.length} steps, got {steps}.")
    kept = [round(i * (schedule.length - 1) / (steps - 1)) for i in range(steps)]
    cumulative = schedule.alphas_cumprod.astype(np.float32).astype(np.float64)[kept]
    betas = 1.0 - cumulative / np.concatenate([[1.0], cumulative[:-1]])
    return Schedule(tuple(schedule.timesteps[index] for index in kept), betas)


def posterior_log_variance(sigma: float, next_sigma: float) -> float:
    """Log variance of a DDPM step between two noise levels, for latents of unit variance at either.

    It is what ``Schedule.posterior`` gives, for a sampler that counts noise as ``Schedule.sigmas`` does.

    Args:
        sigma: before the step.
        next_sigma: after it, less than ``sigma``; 0 ends at clean latents.
    """
    kept, kept_next = 1.0 / (1.0 + sigma**2), 1.0 / (1.0 + next_sigma**2)
    variance = (1.0 - kept / kept_next) * (1.0 - kept_next) / (1.0 - kept)
    return float(np.log(max(variance, _LEAST_VARIANCE)))


def _float32(value: float) -> float:
    """Rounded as the published code stores it."""
    return float(torch.tensor(value, dtype=torch.float32))
