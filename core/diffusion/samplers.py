"""Ancestral sampling of discrete diffusion, with a place for guidance after every step."""

import math
from collections.abc import Callable

from torch import Tensor

from .schedules import Schedule

Denoiser = Callable[[Tensor, int], Tensor]
"""Noisy latents and their timestep, 0 to 999, to the noise that is in them."""

Noise = Callable[[int], Tensor]
"""The noise of the k-th step made, from 0, shaped as the latents; asked for at every step but the last."""

AfterStep = Callable[[Tensor, float], Tensor]
"""Latents after a step and the log variance of that step, to the latents to go on with; may raise to cancel."""


def sample_ddpm(
    denoise: Denoiser, x: Tensor, schedule: Schedule, noise: Noise, after_step: AfterStep | None = None
) -> Tensor:
    """Sample by the posterior of each step (Ho et al., NeurIPS 2020, algorithm 2), nothing clipped::

        x0 = x / sqrt(abar) - sqrt(1 / abar - 1) denoise(x, t)
        x <- mean(x, x0) + exp(log_variance / 2) n,  no n at the last step
        x <- after_step(x, log_variance)

    Args:
        denoise: any network, over a canvas of tiles or not.
        x: noisy latents of the schedule's last step; any shape.
        schedule: its steps are gone through downwards.
        noise: makes the noise of each step.
        after_step: guidance, cancelling, progress.

    Returns:
        Clean latents, the shape of ``x``.
    """
    for made, index in enumerate(reversed(range(schedule.length))):
        clean = schedule.predict_clean(x, denoise(x, schedule.timesteps[index]), index)
        x, log_variance = schedule.posterior(x, clean, index)
        if index:
            x = x + math.exp(0.5 * log_variance) * noise(made)
        if after_step is not None:
            x = after_step(x, log_variance)
    return x
