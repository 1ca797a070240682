"""How a stored picture is turned upright."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import av
from av.sidedata.sidedata import Type as SideDataType
from torch import Tensor


@dataclass(frozen=True)
class Orientation:
    """How a stored picture is turned upright: transposed first, then flipped.

    Attributes:
        transpose: swap rows and columns.
        flip_x: then mirror left and right.
        flip_y: then mirror top and bottom.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @staticmethod
    def of(frame: av.VideoFrame) -> "Orientation":
        """Read the display matrix of a frame, rounded to a multiple of 90 degrees."""
        matrix = cast("Mapping[Any, Any]", frame.side_data).get(SideDataType.DISPLAYMATRIX)
        if matrix is None:
            return Orientation()
        a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
        if abs(a) >= abs(b):
            return Orientation(False, a < 0, d < 0)
        return Orientation(True, c < 0, b < 0)

    @property
    def mirrored(self) -> bool:
        """Whether the upright picture is a mirror image of the stored one."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Degrees clockwise from stored to upright (before mirroring left and right): 0, 90, 180 or 270."""
        return (90 if self.transpose else 0) + (180 if self.flip_y else 0)

    def apply(self, image: Tensor) -> Tensor:
        """Turn (C,H,W) upright; returns (C,W,H) where transposed."""
        if self.transpose:
            image = image.transpose(1, 2)  # (C,H,W) -> (C,W,H)
        dims = [dim for dim, flip in ((1, self.flip_y), (2, self.flip_x)) if flip]
        return (image.flip(dims) if dims else image).contiguous()
