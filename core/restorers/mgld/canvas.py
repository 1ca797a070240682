"""The sizes that MGLD-VSR works at: frames enlarged, padded, and brought back."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ...config import SCALE
from .config import MGLD_SIDE, MgldConfig

LATENT = 8
"""Pixels of a frame that a pixel of its latents stands for, each way."""

_NEEDED = 64  # the denoiser halves latents three times
_PUBLISHED = 32

Size = tuple[int, int]


@dataclass(frozen=True)
class Canvas:
    """The sizes of a shot, each height and width in pixels.

    Attributes:
        frame: of the input.
        enlarged: of the input where it is worked on.
        padded: the same with a mirrored rim to the right and below.
    """

    frame: Size
    enlarged: Size
    padded: Size

    @classmethod
    def of(cls, frame: Size, config: MgldConfig) -> "Canvas":
        """Four times the frame, or more until its shorter side has ``least_side`` pixels."""
        share = max(config.least_side / min(frame), SCALE)
        enlarged = round(share * frame[0]), round(share * frame[1])
        if config.padding == "needed" or min(enlarged) < (config.tile or MGLD_SIDE):  # a tile of the frame's own side
            return cls(frame, enlarged, _multiples(enlarged, _NEEDED))
        if not any(side % _PUBLISHED for side in enlarged):
            return cls(frame, enlarged, enlarged)
        return cls(frame, enlarged, _multiples((enlarged[0] + 1, enlarged[1] + 1), _PUBLISHED))

    @property
    def grid(self) -> Size:
        """Of the latents."""
        return self.padded[0] // LATENT, self.padded[1] // LATENT

    @property
    def share(self) -> float:
        """How many times as large as the input frames are worked on."""
        return max(self.enlarged[0] / self.frame[0], self.enlarged[1] / self.frame[1])

    def enlarge(self, images: Tensor) -> Tensor:
        """Frames (T,3,H,W) in [0,1] to what the networks see, (T,3,*padded) in [-1,1]; bicubic, as published."""
        x = F.interpolate(2 * images - 1, size=self.enlarged, mode="bicubic", antialias=False).clamp(-1, 1)
        down, across = (new - old for new, old in zip(self.padded, self.enlarged, strict=True))
        return F.pad(x, (0, across, 0, down), mode="reflect")

    def finish(self, frame: Tensor) -> Tensor:
        """A decoded frame (3,*padded), about [-1,1], to the result (3,4H,4W) in [0,1]."""
        x = (frame[..., : self.enlarged[0], : self.enlarged[1]] / 2 + 0.5).clamp(0, 1)
        size = SCALE * self.frame[0], SCALE * self.frame[1]
        if size == self.enlarged:
            return x
        return F.interpolate(x[None], size=size, mode="bicubic", antialias=True)[0].clamp(0, 1)

    def input_side(self, pixels: int) -> int:
        """A tile's side in pixels of the input; 0 if a tile of so many pixels holds the frame."""
        return 0 if pixels >= max(self.padded) else round(pixels / self.share)

    def tile_side(self, side: int, least: int) -> int:
        """Back to pixels of the canvas, a multiple of 64 from ``least`` on; see ``input_side``."""
        if not side:
            return max(self.padded)
        return max(round(side * self.share / _NEEDED) * _NEEDED, least)


def _multiples(size: Size, of: int) -> Size:
    return -(-size[0] // of) * of, -(-size[1] // of) * of
