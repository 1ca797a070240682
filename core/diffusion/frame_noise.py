"""Noise that is decided by a seed and a frame's number, so that work goes on anywhere as if it had never stopped."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..overlaps import rescheduled_indices

if TYPE_CHECKING:  # settings name a plan of noise, and settings come at once
    import torch
    from torch import Tensor

BEGINNING, OF_LATENTS = -1, -2
"""Instead of the number of a step: the noise that sampling begins with, and that of the input's latents."""


@dataclass(frozen=True)
class NoisePlan:
    """The noise of a shot, decided by the seed and each frame's number alone.

    Attributes:
        seed: whose noise.
        window: frames of a window, over which noise is rescheduled; 0 gives every frame its own.
        overlap: of these, how many are the next window's too.
    """

    seed: int
    window: int = 0
    overlap: int = 0

    def indices(self, frames: range) -> tuple[int, ...]:
        """Which noise each frame gets: that of a frame of the first window, or its own."""
        if not self.window:
            return tuple(frames)
        stride = self.window - self.overlap
        # Whole windows only: a last one that is moved back would change what comes before.
        windows = max(-(-(frames.stop - self.window) // stride), 0)
        total = self.window + windows * stride
        return rescheduled_indices(total, self.window, self.overlap, self.seed)[frames.start : frames.stop]

    def of_clip(self, frames: range, size: Sequence[int], device: "torch.device") -> "Callable[[int], Tensor]":
        """The noise of some frames at every step.

        Args:
            frames: numbers in the shot.
            size: (C,h,w) of a frame's latents.
            device: where it goes.

        Returns:
            Given the number of a step, or ``BEGINNING`` or ``OF_LATENTS``, (T,C,h,w) float32.
        """
        indices = self.indices(frames)
        return lambda step: frame_noise(self.seed, step, indices, size).to(device)


def frame_noise(seed: int, kind: str | int, frames: Sequence[int], size: Sequence[int]) -> "Tensor":
    """Normal noise of unit variance for some frames of a shot, made on the CPU, so that it is the same everywhere.

    Args:
        seed: whose noise.
        kind: what for: another kind, such as another step, is other noise.
        frames: numbers in the shot; the same number is the same noise.
        size: of a frame's.

    Returns:
        (T,*size) float32.
    """
    import torch

    drawn = {index: _draw(f"{seed} {kind} {index}", size) for index in frames}
    return torch.stack([drawn[index] for index in frames])


def _draw(name: str, size: Sequence[int]) -> "Tensor":
    import torch

    digest = hashlib.sha256(name.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    return torch.randn(*size, generator=generator)
