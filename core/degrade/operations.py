"""The operations of the second-order chain, on clips (T,C,H,W), RGB in [0,1].

Each is a frozen dataclass: its fields are its exact parameters, and it is described in the words the networks were
trained with. The ranges behind "light", "medium" and "heavy" are those of ``specs`` of TextOVSR section 4, cut into
three equal bins.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..video.recompress import Compression, recompress_stream
from .draws import Draws
from .kernels import gaussian_family, sinc
from .operation import LEVELS, Limits, Operation, level

__all__ = [
    "LEVELS",
    "Blur",
    "GaussianNoise",
    "ImageCompression",
    "Operation",
    "PoissonNoise",
    "Resize",
    "SincBlur",
    "VideoCompression",
    "level",
]


@dataclass(frozen=True)
class Blur(Operation):
    """Convolution with a kernel of the Gaussian family; sigma in pixels."""

    kind: str
    size: int
    sigma: tuple[float, float]
    angle: float = 0.0
    beta: float = 1.0

    DRIFTS: ClassVar[Limits] = {"sigma": (0.2, 6.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Blur every frame alike."""
        return _filter(clip, gaussian_family(self.kind, self.size, self.sigma, self.angle, self.beta))

    def describe(self) -> str:
        """By the mean of the two sigmas, .2 to 3 pixels."""
        return f"{level(sum(self.sigma) / 2, 0.2, 3.0)} blur"


@dataclass(frozen=True)
class SincBlur(Operation):
    """Convolution with a ringing low-pass; cutoff in radians a pixel."""

    size: int
    cutoff: float

    DRIFTS: ClassVar[Limits] = {"cutoff": (math.pi / 4, math.pi)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Filter every frame alike."""
        return _filter(clip, sinc(self.size, self.cutoff)).clamp(0, 1)

    def describe(self) -> str:
        """By the cutoff: a lower one is heavier."""
        return f"{level(self.cutoff, 3.1416, 0.7854)} blur"


@dataclass(frozen=True)
class Resize(Operation):
    """Resampling to a size (height, width); mode ``area``, ``bilinear`` or ``bicubic``."""

    size: tuple[int, int]
    mode: str
    direction: str

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Resize every frame; bilinear and bicubic are antialiased when shrinking."""
        if self.mode == "area":
            return F.interpolate(clip, size=self.size, mode="area")
        return F.interpolate(clip, size=self.size, mode=self.mode, antialias=True).clamp(0, 1)

    def describe(self) -> str:
        """``upsample``, ``downsample`` or nothing."""
        return self.direction


@dataclass(frozen=True)
class GaussianNoise(Operation):
    """Additive noise; sigma of 255; grey noise is the same in all channels."""

    sigma: float
    grey: bool

    DRIFTS: ClassVar[Limits] = {"sigma": (0.0, 60.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Fresh noise in every frame."""
        return (clip + draws.normal(clip, 1 if self.grey else None) * (self.sigma / 255.0)).clamp(0, 1)

    def describe(self) -> str:
        """By sigma, 1 to 30."""
        return f"{level(self.sigma, 1.0, 30.0)} noise"


@dataclass(frozen=True)
class PoissonNoise(Operation):
    """Shot noise: variance ``scale``^2 * signal / 255, in its Gaussian approximation (exact to the second moment)."""

    scale: float
    grey: bool

    DRIFTS: ClassVar[Limits] = {"scale": (0.0, 6.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Fresh noise in every frame."""
        signal = clip.mean(dim=1, keepdim=True) if self.grey else clip
        noise = draws.normal(clip, 1 if self.grey else None)
        return (clip + noise * (signal.clamp(min=0) / 255.0).sqrt() * self.scale).clamp(0, 1)

    def describe(self) -> str:
        """By scale, .05 to 3."""
        return f"{level(self.scale, 0.05, 3.0)} noise"


@dataclass(frozen=True)
class ImageCompression(Operation):
    """JPEG, 4:2:0, at a quality from 1 to 100."""

    quality: float

    DRIFTS: ClassVar[Limits] = {"quality": (10.0, 98.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Compress every frame on its own."""
        from kornia.enhance import jpeg_codec_differentiable

        quality = torch.full((clip.shape[0],), float(self.quality), device=clip.device)
        with torch.no_grad():
            return jpeg_codec_differentiable(clip, quality).clamp(0, 1)

    def describe(self) -> str:
        """By quality, 95 down to 30."""
        return f"{level(self.quality, 95.0, 30.0)} image compression"


@dataclass(frozen=True)
class VideoCompression(Operation):
    """A real encoder and decoder, from the first frame to the last in one run; see ``Compression`` for the fields.

    Its parameters do not drift: an encoder is told them once.
    """

    codec: str
    crf: float | None = None
    bits_per_pixel: float | None = None
    quantizer: int | None = None
    profile: str = ""
    gop: int = 0
    buffered: bool = False

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Encode the clip and decode it again."""
        return torch.cat(list(self.run(iter([clip]), 0)))

    def run(self, pieces: Iterator[Tensor], seed: int) -> Iterator[Tensor]:
        """Encode pieces as they come; what comes back comes frame by frame, some frames late."""
        how = Compression(
            self.codec, self.crf, self.bits_per_pixel, self.quantizer, self.profile, self.gop, self.buffered
        )
        for image in recompress_stream((image for piece in pieces for image in piece), how):
            yield image[None]

    def describe(self) -> str:
        """By CRF, 18 to 38; by the bits spent on a pixel, 1 down to .1; or by the quantiser, 2 to 31."""
        if self.crf is not None:
            word = level(self.crf, 18.0, 38.0)
        elif self.quantizer is not None:
            word = level(self.quantizer, 2.0, 31.0)
        elif self.bits_per_pixel is not None:
            word = level(self.bits_per_pixel, 1.0, 0.1)
        else:
            word = LEVELS[0]
        return f"{word} {'image' if self.codec == 'mjpeg' else 'video'} compression"


def _filter(clip: Tensor, kernel: Tensor) -> Tensor:
    from kornia.filters import filter2d

    return filter2d(clip, kernel[None].to(clip), border_type="reflect")
