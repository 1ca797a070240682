"""The sizes that STAR works at: frames enlarged, padded, cut into tiles, and brought back."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ...config import SCALE
from ...diffusion.tiles import Tiling
from ...overlaps import overlapping_windows
from .config import StarConfig

LATENT = 8
"""Pixels of a frame that a pixel of its latents stands for, each way."""

STEP = 64
"""A frame's width is a multiple of this, its height ``ODD`` more than one: the network halves latents three times."""

ODD = 16

_WHITE = 1.0
_PUBLISHED = 720, 1280

Size = tuple[int, int]
Rim = tuple[int, int, int, int]


@dataclass(frozen=True)
class Canvas:
    """The sizes of a shot.

    Attributes:
        frame: height and width of the input.
        rim: pixels left, right, above and below the enlarged frame.
        white: the rim is white, or else mirrored.
    """

    frame: Size
    rim: Rim
    white: bool = False

    @classmethod
    def of(cls, frame: Size, config: StarConfig) -> "Canvas":
        """Four times the frame, and the rim that ``config.padding`` asks for."""
        height, width = (SCALE * side for side in frame)
        if config.padding == "published":
            return cls(frame, published_rim(height, width), white=True)
        return cls(frame, (0, -width % STEP, 0, (ODD - height) % STEP))

    @property
    def enlarged(self) -> Size:
        """Height and width of the result."""
        return SCALE * self.frame[0], SCALE * self.frame[1]

    @property
    def padded(self) -> Size:
        """Of what the networks see."""
        left, right, above, below = self.rim
        return self.enlarged[0] + above + below, self.enlarged[1] + left + right

    @property
    def grid(self) -> Size:
        """Of the latents."""
        return self.padded[0] // LATENT, self.padded[1] // LATENT

    def enlarge(self, image: Tensor) -> Tensor:
        """A frame (3,H,W) in [0,1] to (3,4H,4W), bilinear, as published."""
        return F.interpolate(image[None], size=self.enlarged, mode="bilinear", align_corners=False)[0]

    def pad(self, enlarged: Tensor) -> Tensor:
        """An enlarged frame (3,4H,4W) in [0,1] to what the networks see, (3,*padded) in [-1,1]."""
        x = 2 * enlarged[None] - 1
        return (F.pad(x, self.rim, value=_WHITE) if self.white else F.pad(x, self.rim, mode="reflect"))[0]

    def finish(self, frame: Tensor) -> Tensor:
        """A decoded frame (3,*padded), about [-1,1], to (3,4H,4W) in [0,1]."""
        left, _, above, _ = self.rim
        height, width = self.enlarged
        return (frame[:, above : above + height, left : left + width] / 2 + 0.5).clamp(0, 1)

    def input_side(self, side: int) -> int:
        """A tile's side of so many pixels in pixels of the input; 0 if such a tile holds the frame."""
        return 0 if not side or side >= max(self.padded) else side // SCALE

    def tile_side(self, side: int) -> int:
        """Back to pixels, a multiple of 64; 0 is the whole frame. See ``input_side``."""
        pixels = max(SCALE * side // STEP, 1) * STEP
        return 0 if not side or pixels >= max(self.padded) else pixels


@dataclass(frozen=True)
class LatentTiling(Tiling):
    """Tiles of latents: as high and as wide as the network can take, two rows higher than they are wide."""

    def places(self, height: int, width: int) -> Iterator[tuple[slice, slice]]:
        """See ``Tiling.places``."""
        odd = ODD // LATENT
        for rows in overlapping_windows(height, self.tile + odd, self.overlap + odd):
            for columns in overlapping_windows(width, self.tile, self.overlap):
                yield slice(rows.start, rows.stop), slice(columns.start, columns.stop)


def latent_tiling(side: int) -> LatentTiling:
    """Tiles of ``side`` pixels, a multiple of 64, a third of which neighbours share."""
    return LatentTiling(side // LATENT, side // LATENT // 3)


def pixel_tiling(side: int) -> Tiling:
    """Tiles of ``side`` pixels of frames, a multiple of 64, a quarter of which neighbours share."""
    return Tiling(side, side // 4)


def published_rim(height: int, width: int) -> Rim:
    """Around a frame of up to 1280x720 as much on all sides, else to the right and below, more than is needed."""
    least_height, least_width = _PUBLISHED
    if height > least_height:
        above, below = 0, (height + STEP - ODD) // STEP * STEP + ODD - height
    else:
        above = (least_height - height) // 2
        below = least_height - height - above
    if width > least_width:
        return 0, width // STEP * STEP + STEP - width, above, below
    left = (least_width - width) // 2
    return left, least_width - width - left, above, below
