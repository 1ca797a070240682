"""The noise schedule of STAR, given by its log signal-to-noise ratio, and the levels that a sampler goes through.

With alpha_t^2 + sigma_t^2 = 1, noisy latents are alpha_t x0 + sigma_t n. A sampler for noise that is added without
shrinking what is there counts it as s = sigma / alpha.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..errors import SettingError
from .config import LEVEL_MODES, LevelMode

LAST = 899
"""Timestep that sampling begins at, of 0 to 999: something of the input is still to be seen there."""

_TRAINED = 1000
_LOG_SNR = 15.0
_SHIFTS = (2 * math.log(1 / 2), 2 * math.log(1 / 4))
_MIDDLE = 500
_FAST_SHARE = 4 / 15
"""Of the fast levels, how many lie above the middle."""


@dataclass(frozen=True)
class Levels:
    """What a sampler goes through.

    Attributes:
        sigmas: n + 1 levels s, falling, the last one 0.
        timesteps: n, where the network is told to be at each level but the last.
    """

    sigmas: tuple[float, ...]
    timesteps: tuple[int, ...]


@lru_cache(maxsize=1)
def trained_sigmas() -> Tensor:
    """sigma at timesteps 0 to 999, (1000,) float32, the last one 1: a cosine whose shift grows with the noise.

    A cosine log SNR from 15 to -15 (Hoogeboom et al., ICML 2023), shifted between pictures 2 and 4 times as wide as
    64 pixels, then moved so that the last step holds no signal (Lin et al., WACV 2024, algorithm 1).
    """
    share = torch.linspace(1, 0, _TRAINED)
    first, last = math.atan(math.exp(_LOG_SNR / 2)), math.atan(math.exp(-_LOG_SNR / 2))
    cosine = -2 * torch.log(torch.tan(first + share * (last - first)))
    log_snr = share * (cosine + _SHIFTS[0]) + (1 - share) * (cosine + _SHIFTS[1])
    # Up to here in single precision, as published: the last digits of the tangent decide the fourth of sigma.
    alphas = torch.sqrt(1 - torch.sqrt(torch.sigmoid(-log_snr)).double() ** 2)
    most, least = alphas[0].clone(), alphas[-1].clone()
    alphas = (alphas - least) * (most / (most - least))
    return torch.sqrt(1 - alphas**2).float()


def alpha_sigma(timestep: int) -> tuple[float, float]:
    """alpha and sigma at a timestep from 0 to 999."""
    sigma = trained_sigmas()[timestep]
    return float(torch.sqrt(1 - sigma**2)), float(sigma)


def noise_levels(mode: LevelMode, steps: int) -> Levels:
    """The levels of a sampler that begins at ``LAST``.

    Args:
        mode: ``normal`` makes as many evaluations as ``steps``; ``fast`` one fewer, published with 15.
        steps: 2 or more.

    Raises:
        SettingError: another mode, or fewer steps.
    """
    if mode not in LEVEL_MODES or steps < 2:
        raise SettingError(f"Expected 2 steps or more, {' or '.join(LEVEL_MODES)}, got {steps}, {mode!r}.")
    wanted = _fast(steps) if mode == "fast" else _falling(LAST, -1, steps + 1)
    logs, below, part = _log_levels(), wanted.floor().long(), wanted.frac()
    sigmas = ((1 - part) * logs[below] + part * logs[wanted.ceil().long()]).exp()[:-1]
    return Levels((*sigmas.tolist(), 0.0), tuple(_timesteps(sigmas).tolist()))


def _fast(steps: int) -> Tensor:
    coarse = max(round(_FAST_SHARE * steps), 1)
    return torch.cat([_falling(LAST, _MIDDLE - 1, coarse), _falling(_MIDDLE, -1, steps - coarse)])


def _falling(first: int, end: int, count: int) -> Tensor:
    """``count`` timesteps from ``first`` down to before ``end``, evenly spread."""
    return torch.arange(first, end, -(first - end) / count, dtype=torch.float32)[:count]


def _log_levels() -> Tensor:
    sigmas = trained_sigmas()
    return torch.sqrt(sigmas**2 / (1 - sigmas**2)).log()


def _timesteps(sigmas: Tensor) -> Tensor:
    """The nearest timesteps of levels, (n,)."""
    logs, wanted = _log_levels(), sigmas.log()
    below = (torch.searchsorted(logs, wanted, right=True) - 1).clamp(0, _TRAINED - 2)
    part = ((logs[below] - wanted) / (logs[below] - logs[below + 1])).clamp(0, 1)
    return ((1 - part) * below + part * (below + 1)).round().long()
