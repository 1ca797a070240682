"""The noise of a shot, decided by the seed and each frame's number alone, made on the CPU, so the same everywhere."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...overlaps import rescheduled_indices
from .config import SdatcConfig

BEGINNING = -1
"""Instead of the number of a step: the noise that sampling begins with."""


def clip_noise(
    config: SdatcConfig, frames: range, size: Sequence[int], device: torch.device
) -> Callable[[int], Tensor]:
    """The noise of some frames at every step.

    Args:
        config: seed; and whether noise is rescheduled, over the windows that it names.
        frames: numbers in the shot.
        size: (C,h,w) of a frame's latents.
        device: where it goes.

    Returns:
        Given the number of a step, (T,C,h,w) float32.
    """
    indices = noise_indices(config, frames)

    def draw(step: int) -> Tensor:
        drawn = {index: _draw(config.seed, step, index, size) for index in indices}
        return torch.stack([drawn[index] for index in indices]).to(device)

    return draw


def noise_indices(config: SdatcConfig, frames: range) -> tuple[int, ...]:
    """Which noise each frame gets: that of a frame of the first window, or its own."""
    if not config.reschedule:
        return tuple(frames)
    stride = config.window - config.overlap
    # Whole windows only: a last one that is moved back would change what comes before.
    windows = max(-(-(frames.stop - config.window) // stride), 0)
    total = config.window + windows * stride
    return rescheduled_indices(total, config.window, config.overlap, config.seed)[frames.start : frames.stop]


def _draw(seed: int, step: int, index: int, size: Sequence[int]) -> Tensor:
    digest = hashlib.sha256(f"{seed} {step} {index}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    return torch.randn(*size, generator=generator)
