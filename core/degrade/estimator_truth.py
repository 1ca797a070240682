"""What a known chain has left in a picture: the truth that a blind estimator is trained on and measured against.

A later operation may wipe out an earlier one: no eye and no network can tell the noise that shrinking averaged away, or
the JPEG blocks below a low bit rate. So the truth is not the parameter of an operation but what is left of it at the
end of the chain, expressed as the parameter that would leave as much if the operation stood alone:

- blur: all low-pass operations together, resizing back and forth included, as the sigma of the Gaussian before a plain
  bicubic shrinking that lets as much of the energy of white noise pass; in pixels of the four times larger picture.
- upsample: the side of the final picture over that of the smallest one on the way.
- noise: the standard deviation of the noise that comes out, of 255: the part of the difference that leaving the noise
  out makes which follows the noise itself. What codecs decide otherwise because of the noise does not count.
- image compression: the JPEG quality whose error, on the final picture without JPEG, is as large as what is left of the
  error that JPEG made.
- video compression: the CRF of x264 whose error, on the final picture without video compression, is as large as the
  one that all encoders left.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import SettingError
from .kernels import gaussian_family
from .operations import (
    Blur,
    GaussianNoise,
    ImageCompression,
    Operation,
    PoissonNoise,
    Resize,
    SincBlur,
    VideoCompression,
)

NOISE, IMAGE, VIDEO = (GaussianNoise, PoissonNoise), (ImageCompression,), (VideoCompression,)
_LOW_PASS = (Blur, SincBlur, Resize)
_SCALE = 4
_QUALITIES = (95.0, 95.0 - 65.0 / 3, 30.0 + 65.0 / 3, 30.0)
_CRFS = (18.0, 18.0 + 20.0 / 3, 38.0 - 20.0 / 3, 38.0)
_SIGMAS = np.linspace(0.0, 8.0, 33)
_SIDE = 256  # of the white noise that blur is measured with


def degrade_and_measure(clip: Tensor, chain: Sequence[Operation], seed: int) -> tuple[Tensor, Tensor]:
    """Degrade a clip, and tell what is left of each kind of degradation.

    Args:
        clip: (T,3,H,W) in [0,1].
        chain: operations that end at a quarter of the size.
        seed: of the noise.

    Returns:
        The degraded clip (T,3,H/4,W/4) and (5,) positions in the order of ``estimator.ATTRIBUTES``: 0 where the range
        of the operation begins and 1 where it ends; less than 0 means that less than the lightest is left.

    Raises:
        SettingError: the chain ends at another size.
    """
    runs = _Runs(clip, chain, seed)
    degraded = runs.without()
    expected = (clip.shape[-2] // _SCALE, clip.shape[-1] // _SCALE)
    if tuple(degraded.shape[-2:]) != expected:
        raise SettingError(
            f"Expected a chain that ends at a quarter of the size, {expected}, got {tuple(degraded.shape[-2:])}; "
            "end it with a Resize to that size."
        )
    positions = (
        (blur_left(chain, (clip.shape[-2], clip.shape[-1])) - 0.2) / (3.0 - 0.2),
        (upsampling_left(chain, expected) - 1.0) / (4.0 - 1.0),
        (255.0 * runs.left(NOISE, (*IMAGE, *VIDEO)) - 1.0) / (30.0 - 1.0),
        _image_left(runs),
        _video_left(runs),
    )
    return degraded, torch.tensor(positions, dtype=torch.float32)


class _Runs:
    """The chain with some kinds of operation left out; common beginnings are computed once."""

    def __init__(self, clip: Tensor, chain: Sequence[Operation], seed: int) -> None:
        self._clip, self._chain, self._seed = clip, chain, seed
        self._known: dict[tuple[int, ...], Tensor] = {}

    def holds(self, kinds: tuple[type, ...]) -> bool:
        """Whether the chain has an operation of these kinds."""
        return any(isinstance(operation, kinds) for operation in self._chain)

    def without(self, *kinds: type) -> Tensor:
        """The result, every operation with the noise it always has."""
        clip = self._clip
        done: tuple[int, ...] = ()
        for index, operation in enumerate(self._chain):
            if isinstance(operation, kinds):
                continue
            done = (*done, index)
            if done not in self._known:
                generator = torch.Generator().manual_seed(self._seed * 64 + index)
                self._known[done] = operation.apply(clip, generator)
            clip = self._known[done]
        return clip

    def left(self, kinds: tuple[type, ...], wiping: tuple[type, ...]) -> float:
        """RMS, of full scale, of what operations leave: its part along what they leave without the ``wiping`` kinds."""
        if not self.holds(kinds):
            return 0.0
        carried = (self.without(*wiping) - self.without(*wiping, *kinds)).flatten()
        left = (self.without() - self.without(*kinds)).flatten()
        along = float(left @ carried) / max(float(carried.norm()), 1e-9)
        return max(along, 0.0) / math.sqrt(left.numel())


def blur_left(chain: Sequence[Operation], size: tuple[int, int]) -> float:
    """The Gaussian sigma that a chain's low-pass operations amount to, in pixels of the first picture.

    Args:
        chain: operations that end at a quarter of the size.
        size: (height, width) of the picture the chain was made for.
    """
    noise = _white_noise()
    for operation in chain:
        if isinstance(operation, Resize):
            sides = tuple(max(2, round(_SIDE * new / old)) for new, old in zip(operation.size, size, strict=True))
            noise = Resize((sides[0], sides[1]), operation.mode, "").apply(noise, torch.Generator())
        elif isinstance(operation, _LOW_PASS):
            noise = operation.apply(noise, torch.Generator())
    passed = float(noise.std()) / _passed_energy()[0]
    table = [energy / _passed_energy()[0] for energy in _passed_energy()]
    return float(np.interp(-passed, [-share for share in table], _SIGMAS))


def _white_noise() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.5 + 0.08 * torch.randn((1, 1, _SIDE, _SIDE), generator=generator).clamp(-5, 5)


@lru_cache(maxsize=1)
def _passed_energy() -> tuple[float, ...]:
    """Standard deviation of white noise after a Gaussian of each of ``_SIGMAS`` and a bicubic shrinking by 4."""
    noise, shares = _white_noise(), []
    for sigma in _SIGMAS:
        kernel = gaussian_family("iso", 2 * math.ceil(4 * sigma) + 1, (max(float(sigma), 1e-3),) * 2)
        margin = kernel.shape[0] // 2
        padded = F.pad(noise, (margin,) * 4, mode="reflect") if margin else noise
        blurred = F.conv2d(padded, kernel[None, None])
        small = F.interpolate(blurred, size=(_SIDE // _SCALE,) * 2, mode="bicubic", antialias=True)
        shares.append(float(small.std()))
    return tuple(shares)


def upsampling_left(chain: Sequence[Operation], final: tuple[int, int]) -> float:
    """The final height over the smallest one on the way, at least 1."""
    heights = [operation.size[0] for operation in chain if isinstance(operation, Resize)]
    return max(final[0] / min([*heights, final[0]]), 1.0)


def _image_left(runs: _Runs) -> float:
    error = runs.left(IMAGE, VIDEO)
    if not error:
        return -1.0
    plain = runs.without(*IMAGE)
    return _position(error, [_rms(ImageCompression(q).apply(plain, torch.Generator()) - plain) for q in _QUALITIES])


def _video_left(runs: _Runs) -> float:
    if not runs.holds(VIDEO):
        return -1.0
    plain = runs.without(*VIDEO)
    coded = (VideoCompression("libx264", crf=crf).apply(plain, torch.Generator()) for crf in _CRFS)
    return _position(_rms(runs.without() - plain), [_rms(clip - plain) for clip in coded])


def _rms(difference: Tensor) -> float:
    return float(difference.square().mean().sqrt())


def _position(error: float, references: Sequence[float]) -> float:
    """Where an error lies among those of the four borders of the bins, 0 to 1 and beyond; linear in their logarithm."""
    logs = np.maximum.accumulate(np.log(np.maximum(references, 1e-5)) + np.arange(4) * 1e-3)
    wanted = math.log(max(error, 1e-5))
    step = 1.0 / 3.0
    below, above = (logs[1] - logs[0]) / step, (logs[3] - logs[2]) / step
    if wanted < logs[0]:
        return max((wanted - logs[0]) / below, -1.0)
    if wanted > logs[3]:
        return min(1.0 + (wanted - logs[3]) / above, 2.0)
    return float(np.interp(wanted, logs, np.arange(4) * step))
