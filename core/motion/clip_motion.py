"""The motion of a clip, both ways, as plain data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ShapeError


@dataclass(frozen=True)
class ClipMotion:
    """Where the pixels of T frames are in their neighbours.

    ``flow(i -> j)`` lies on frame i's grid and points to where each of its pixels is in frame j, x (right) then y
    (down), in pixels: ``warp(frame[j], flow(i -> j))`` shows frame j on frame i's grid, see ``models.warp``.

    Attributes:
        forward_flow: (T-1,2,h,w); [i] is flow(i -> i+1), on frame i's grid.
        backward_flow: (T-1,2,h,w); [i] is flow(i+1 -> i), on frame i+1's grid.
        forward_occluded: (T-1,1,h,w), 1 where a pixel of frame i is not seen in frame i+1, else 0; frame i's grid.
        backward_occluded: (T-1,1,h,w), 1 where a pixel of frame i+1 is not seen in frame i, else 0; frame i+1's grid.

    Raises:
        ShapeError: the four do not fit each other.
    """

    forward_flow: Tensor
    backward_flow: Tensor
    forward_occluded: Tensor
    backward_occluded: Tensor

    def __post_init__(self) -> None:
        shape = self.forward_flow.shape
        if len(shape) != 4 or shape[1] != 2:
            raise ShapeError(f"Expected forward_flow of shape (T-1,2,h,w), got {tuple(shape)}.")
        masks = torch.Size((shape[0], 1, *shape[2:]))
        for name, expected in (
            ("backward_flow", shape),
            ("forward_occluded", masks),
            ("backward_occluded", masks),
        ):
            found = getattr(self, name).shape
            if found != expected:
                raise ShapeError(
                    f"Expected {name} of shape {tuple(expected)}, as forward_flow is {tuple(shape)}, "
                    f"got {tuple(found)}."
                )

    @property
    def length(self) -> int:
        """T, the number of frames; a clip of one frame has no pair."""
        return self.forward_flow.shape[0] + 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grids in pixels."""
        height, width = self.forward_flow.shape[-2:]
        return height, width

    def to(self, device: torch.device | str) -> "ClipMotion":
        """The same on another device."""
        return ClipMotion(*(tensor.to(device) for tensor in self._tensors()))

    def frames(self, start: int, stop: int) -> "ClipMotion":
        """The motion of frames ``start`` to ``stop`` - 1 among themselves, at least one frame; no copy is made.

        Raises:
            ShapeError: these are not frames of the clip.
        """
        if not 0 <= start < stop <= self.length:
            raise ShapeError(
                f"Expected a part of the frames 0 to {self.length}, got {start} to {stop}; "
                "ask the motion's source for the right ones."
            )
        return ClipMotion(*(tensor[start : stop - 1] for tensor in self._tensors()))

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.forward_flow, self.backward_flow, self.forward_occluded, self.backward_occluded
