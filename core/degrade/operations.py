"""Single degradations of a clip (T,C,H,W), RGB in [0,1].

Each is a frozen dataclass: its fields are its exact parameters, ``apply`` does it, ``describe`` names it in the words
the networks were trained with. The ranges behind "light", "medium" and "heavy" are those of ``specs`` of TextOVSR
section 4, cut into three equal bins.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..video.recompress import recompress
from .kernels import gaussian_family, sinc

LEVELS = ("light", "medium", "heavy")


class Operation(Protocol):
    """A degradation with fixed parameters."""

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade (T,C,H,W); ``generator`` (CPU) drives the noise."""

    def describe(self) -> str:
        """Its words, empty when there is nothing to say."""


def level(value: float, low: float, high: float) -> str:
    """The bin of ``value`` among three equal ones from ``low`` (light) to ``high`` (heavy); either may be larger."""
    position = (value - low) / (high - low)
    return LEVELS[min(max(int(position * 3), 0), 2)]


@dataclass(frozen=True)
class Blur:
    """Convolution with a kernel of the Gaussian family; sigma in pixels."""

    kind: str
    size: int
    sigma: tuple[float, float]
    angle: float = 0.0
    beta: float = 1.0

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Blur every frame alike."""
        return _filter(clip, gaussian_family(self.kind, self.size, self.sigma, self.angle, self.beta))

    def describe(self) -> str:
        """By the mean of the two sigmas, .2 to 3 pixels."""
        return f"{level(sum(self.sigma) / 2, 0.2, 3.0)} blur"


@dataclass(frozen=True)
class SincBlur:
    """Convolution with a ringing low-pass; cutoff in radians a pixel."""

    size: int
    cutoff: float

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Filter every frame alike."""
        return _filter(clip, sinc(self.size, self.cutoff)).clamp(0, 1)

    def describe(self) -> str:
        """By the cutoff: a lower one is heavier."""
        return f"{level(self.cutoff, 3.1416, 0.7854)} blur"


@dataclass(frozen=True)
class Resize:
    """Resampling to a size (height, width); mode ``area``, ``bilinear`` or ``bicubic``."""

    size: tuple[int, int]
    mode: str
    direction: str

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Resize every frame; bilinear and bicubic are antialiased when shrinking."""
        if self.mode == "area":
            return F.interpolate(clip, size=self.size, mode="area")
        return F.interpolate(clip, size=self.size, mode=self.mode, antialias=True).clamp(0, 1)

    def describe(self) -> str:
        """``upsample``, ``downsample`` or nothing."""
        return self.direction


@dataclass(frozen=True)
class GaussianNoise:
    """Additive noise; sigma of 255; grey noise is the same in all channels."""

    sigma: float
    grey: bool

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Fresh noise in every frame."""
        return (clip + _normal(clip, self.grey, generator) * (self.sigma / 255.0)).clamp(0, 1)

    def describe(self) -> str:
        """By sigma, 1 to 30."""
        return f"{level(self.sigma, 1.0, 30.0)} noise"


@dataclass(frozen=True)
class PoissonNoise:
    """Shot noise: variance ``scale``^2 * signal / 255, in its Gaussian approximation (exact to the second moment)."""

    scale: float
    grey: bool

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Fresh noise in every frame."""
        signal = clip.mean(dim=1, keepdim=True) if self.grey else clip
        return (clip + _normal(clip, self.grey, generator) * (signal / 255.0).sqrt() * self.scale).clamp(0, 1)

    def describe(self) -> str:
        """By scale, .05 to 3."""
        return f"{level(self.scale, 0.05, 3.0)} noise"


@dataclass(frozen=True)
class ImageCompression:
    """JPEG, 4:2:0, at a quality from 1 to 100."""

    quality: float

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Compress every frame on its own."""
        from kornia.enhance import jpeg_codec_differentiable

        quality = torch.full((clip.shape[0],), float(self.quality), device=clip.device)
        with torch.no_grad():
            return jpeg_codec_differentiable(clip, quality).clamp(0, 1)

    def describe(self) -> str:
        """By quality, 95 down to 30."""
        return f"{level(self.quality, 95.0, 30.0)} image compression"


@dataclass(frozen=True)
class VideoCompression:
    """A real encoder and decoder; exactly one of ``crf`` and ``bits_per_pixel`` is set."""

    codec: str
    crf: float | None = None
    bits_per_pixel: float | None = None

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Encode the clip and decode it again."""
        return recompress(clip, self.codec, crf=self.crf, bits_per_pixel=self.bits_per_pixel)

    def describe(self) -> str:
        """By CRF, 18 to 38, or by the bits spent on a pixel, 1 down to .1."""
        if self.crf is not None:
            word = level(self.crf, 18.0, 38.0)
        else:
            word = level(self.bits_per_pixel or 0.0, 1.0, 0.1)
        return f"{word} video compression"


def _filter(clip: Tensor, kernel: Tensor) -> Tensor:
    from kornia.filters import filter2d

    return filter2d(clip, kernel[None].to(clip), border_type="reflect")


def _normal(clip: Tensor, grey: bool, generator: torch.Generator) -> Tensor:
    t, c, h, w = clip.shape
    noise = torch.randn((t, 1 if grey else c, h, w), generator=generator)
    return noise.to(clip).expand_as(clip)
