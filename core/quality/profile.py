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
        # One piece of memory: a small tensor kept of every frame would lie between those of frames, and the holes that
        # these leave would be a little too small for the next ones, a gigabyte in a minute.
        self._lines = torch.empty(0, 3, 0, dtype=torch.uint8)
        self._frames, self._rows, self._stride = 0, 0, 1

    @property
    def stride(self) -> int:
        """Frames from one row to the next."""
        return self._stride

    def add(self, image: Tensor) -> None:
        """Take in the next frame, (3,H,W)."""
        if self._frames % self._stride == 0:
            if self._rows == 2 * ROWS:
                self._lines[:ROWS] = self._lines[::2].clone()
                self._rows = ROWS
                self._stride *= 2
            if self._frames % self._stride == 0:
                self._keep(self._line(image))
        self._frames += 1

    def _keep(self, line: Tensor) -> None:
        if not self._rows:
            self._lines = torch.empty(2 * ROWS, *line.shape, dtype=torch.uint8)
        self._lines[self._rows] = line
        self._rows += 1

    def _line(self, image: Tensor) -> Tensor:
        row = min(int(self._height * image.shape[1]), image.shape[1] - 1)
        line = image[:, row].float()  # (3,H,W) -> (3,W)
        if line.shape[1] > WIDTH:
            line = F.adaptive_avg_pool1d(line, WIDTH)
        return line.clamp(0, 1).mul(255).round().byte().cpu()

    def picture(self) -> Tensor:
        """(T,W,3) uint8; time runs down."""
        return self._lines[: self._rows].permute(0, 2, 1).contiguous()  # (T,3,W) -> (T,W,3)
