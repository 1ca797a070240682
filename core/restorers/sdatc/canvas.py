"""The sizes that SDATC works at: four times the frame, with a rim."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ...config import SCALE

LATENT = 8
"""Pixels of a frame that a pixel of its latents stands for, each way."""

NEEDED = 64
"""Sides are multiples of this: the denoiser halves latents three times."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Canvas:
    """The sizes of a shot, each height and width in pixels.

    Attributes:
        frame: of the input.
        enlarged: of the result.
        padded: of the same with a rim to the right and below, where the networks work.
    """

    frame: Size
    enlarged: Size
    padded: Size

    @classmethod
    def of(cls, frame: Size) -> "Canvas":
        """Four times the frame, and the next multiples of 64 pixels."""
        height, width = SCALE * frame[0], SCALE * frame[1]
        return cls(frame, (height, width), (-(-height // NEEDED) * NEEDED, -(-width // NEEDED) * NEEDED))

    @property
    def grid(self) -> Size:
        """Of the latents."""
        return self.padded[0] // LATENT, self.padded[1] // LATENT

    def prepare(self, frames: Tensor) -> Tensor:
        """Enlarged frames (T,3,*enlarged) in [0,1] to what the networks see, (T,3,*padded) in [-1,1].

        The rim mirrors the frame; where it is wider than the frame it repeats the border.
        """
        down, across = (new - old for new, old in zip(self.padded, self.enlarged, strict=True))
        mirrors = down < self.enlarged[0] and across < self.enlarged[1]
        return F.pad(2 * frames.clamp(0, 1) - 1, (0, across, 0, down), mode="reflect" if mirrors else "replicate")

    def finish(self, frame: Tensor) -> Tensor:
        """A decoded frame (3,*padded), about [-1,1], to the result (3,*enlarged) in [0,1]."""
        return (frame[..., : self.enlarged[0], : self.enlarged[1]] / 2 + 0.5).clamp(0, 1)

    def input_side(self, pixels: int) -> int:
        """A tile's side in pixels of the input; 0 if a tile of so many pixels holds the frame."""
        return 0 if pixels >= max(self.padded) else pixels // SCALE

    def tile_side(self, side: int, least: int) -> int:
        """Back to pixels of the canvas, a multiple of 64 from ``least`` on; see ``input_side``."""
        return max(round(side * SCALE / NEEDED) * NEEDED, least) if side else max(self.padded)


def enlarge(images: Tensor) -> Tensor:
    """(T,3,h,w) -> (T,3,4h,4w), bicubic, in [0,1]."""
    return F.interpolate(images, scale_factor=SCALE, mode="bicubic", antialias=False).clamp(0, 1)
