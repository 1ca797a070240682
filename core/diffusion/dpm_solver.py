"""DPM-Solver++ (2M) as a stochastic differential equation, over noise that is added without shrinking what is there."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

Clean = Callable[[Tensor, int], Tensor]
"""Noisy latents and the number of the step, from 0, to the clean latents that they hold; may raise to cancel."""

Noise = Callable[[int], Tensor]
"""Noise of unit variance of the k-th step, from 0, shaped as the latents; asked for at every step but the last."""


def sample_dpmpp_2m_sde(predict: Clean, x: Tensor, sigmas: Sequence[float], noise: Noise, eta: float = 1.0) -> Tensor:
    """Sample by the second-order multistep solver's midpoint form (Lu et al., 2022, SDE-DPM-Solver++(2M)).

    With h = ln(s_k / s_{k+1}), h' = (1 + eta) h and d_k the clean latents of step k::

        x <- s_{k+1} / s_k exp(-eta h) x + (1 - exp(-h')) (d_k + (d_k - d_{k-1}) h / (2 h_{k-1}))
             + s_{k+1} sqrt(1 - exp(-2 eta h)) n

    The first step has no d_{k-1}; the last one ends at d_k. A Brownian path has independent increments, so that its
    noise over steps that do not overlap is drawn step by step.

    Args:
        predict: any network.
        x: clean latents plus noise of the first sigma; any shape.
        sigmas: falling, the last one 0.
        noise: makes the noise of each step.
        eta: share of the noise that is renewed; 0 renews none.

    Returns:
        Clean latents, the shape of ``x``.
    """
    before: Tensor | None = None
    h_last = 0.0
    for step, (sigma, following) in enumerate(pairwise(sigmas)):
        clean = predict(x, step)
        if not following:
            return clean
        h = math.log(sigma / following)
        renewed = -math.expm1(-(1 + eta) * h)
        direction = clean
        if before is not None:
            direction = clean + (clean - before) * (h / (2 * h_last))
        x = (following / sigma * math.exp(-eta * h)) * x + renewed * direction
        if eta:
            x = x + following * math.sqrt(-math.expm1(-2 * eta * h)) * noise(step)
        before, h_last = clean, h
    return x
