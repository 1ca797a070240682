"""Noise that is decided by a seed and a frame's number, so that work goes on anywhere as if it had never stopped."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def frame_noise(seed: int, kind: str, frames: Sequence[int], size: Sequence[int]) -> Tensor:
    """Normal noise of unit variance for some frames of a shot, made on the CPU, so that it is the same everywhere.

    Args:
        seed: whose noise.
        kind: what for: another kind, such as another step, is other noise.
        frames: numbers in the shot; the same number is the same noise.
        size: of a frame's.

    Returns:
        (T,*size) float32.
    """
    return torch.stack([_draw(f"{seed} {kind} {index}", size) for index in frames])


def _draw(name: str, size: Sequence[int]) -> Tensor:
    digest = hashlib.sha256(name.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    return torch.randn(*size, generator=generator)
