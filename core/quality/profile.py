"""The temporal profile: one line of every frame, below each other. A steady video has smooth stripes, else hairs."""

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 540
"""A profile has from this many rows to twice as many, once there are enough frames."""

WIDTH = 960
"""Pixels; wider lines are averaged down."""


class Profile:
    """Collects lines; of a long video each second, fourth, eighth... frame's is kept, never a mean, which would smooth.

    Args:
        height: which line, 0 (top) to 1 (bottom).
    """

    def __init__(self, height: float = 0.5) -> None:
        self._height = height
        self._lines: list[Tensor] = []
        self._frames, self._stride = 0, 1

    @property
    def stride(self) -> int:
        """Frames from one row to the next."""
        return self._stride

    def add(self, image: Tensor) -> None:
        """Take in the next frame, (3,H,W)."""
        if self._frames % self._stride == 0:
            if len(self._lines) == 2 * ROWS:
                self._lines = self._lines[::2]
                self._stride *= 2
            if self._frames % self._stride == 0:
                self._lines.append(self._line(image))
        self._frames += 1

    def _line(self, image: Tensor) -> Tensor:
        row = min(int(self._height * image.shape[1]), image.shape[1] - 1)
        line = image[:, row].float()  # (3,H,W) -> (3,W)
        if line.shape[1] > WIDTH:
            line = F.adaptive_avg_pool1d(line, WIDTH)
        return line.clamp(0, 1).mul(255).round().byte().cpu()

    def picture(self) -> Tensor:
        """(T,W,3) uint8; time runs down."""
        return torch.stack(self._lines).permute(0, 2, 1).contiguous()  # (T,3,W) -> (T,W,3)
