"""How the clips SDATC learns from are spoilt: x264 as in the paper, and the chains of the other networks."""

from dataclasses import dataclass

import numpy as np

from ..core.degrade.chain import SCALE, sample_clean, sample_light, sample_second_order
from ..core.degrade.operation import Operation
from ..core.degrade.operations import VideoCompression
from ..core.errors import SettingError

LEAST_RATE = 1000 / 25
"""Bits a frame: x264 counts in kilobits a second, and is told that these are 25 frames."""


@dataclass(frozen=True)
class CompressionConfig:
    """Shares of the ways to spoil a clip, and the ranges of the paper's (``specs/sdatc.md`` section 9).

    What the shares leave over, all of it in the paper, is shrunk (bicubic) and compressed by x264, either at a constant
    quality or at a bit rate.

    Attributes:
        light: share of clips that are blurred, shrunk, noisy, and compressed by JPEG and x264; ours.
        second_order: share of clips that go through RealBasicVSR's chain of two stages; ours.
        clean: share of clips that are only shrunk; ours.
        by_rate: share, of those that x264 alone spoils, that are given a bit rate rather than a quality; our guess.
        crf_low, crf_high: the qualities, drawn evenly; the paper tests 15, 25 and 35.
        rate_low, rate_high: the bit rates, drawn evenly, in bit/s.
        pixel_rate: pixels a second that those bit rates are meant for; a clip's is in proportion to its own. Our guess:
            the paper's films, shrunk to 320x180, at 24 frames a second.
    """

    light: float = 0.0
    second_order: float = 0.0
    clean: float = 0.0
    by_rate: float = 0.5
    crf_low: float = 15.0
    crf_high: float = 35.0
    rate_low: float = 10e3
    rate_high: float = 100e3
    pixel_rate: float = 320 * 180 * 24.0

    def __post_init__(self) -> None:
        shares = (self.light, self.second_order, self.clean, self.by_rate)
        if min(shares) < 0 or sum(shares[:3]) > 1 or self.by_rate > 1:
            raise SettingError(f"Expected shares from 0 to 1 that add up to at most 1, got {self}; correct them.")
        if not 0 <= self.crf_low <= self.crf_high <= 51 or not 0 < self.rate_low <= self.rate_high:
            raise SettingError(f"Expected CRF from 0 to 51 and bit rates above 0, low before high, got {self}.")
        if self.pixel_rate <= 0:
            raise SettingError(f"Expected pixel_rate above 0, got {self.pixel_rate}; correct it.")


def sample_compression(size: tuple[int, int], config: CompressionConfig, rng: np.random.Generator) -> list[Operation]:
    """A chain for a clip of ``size`` (height, width): its result is a quarter of it."""
    kind = rng.random()
    for share, sample in ((config.light, sample_light), (config.second_order, sample_second_order)):
        if kind < share:
            return sample(size, rng)
        kind -= share
    shrunk = sample_clean(size, SCALE)
    if kind < config.clean:
        return shrunk
    if rng.random() < config.by_rate:
        rate = rng.uniform(config.rate_low, config.rate_high) / config.pixel_rate
        least = LEAST_RATE / ((size[0] // SCALE) * (size[1] // SCALE))
        return [*shrunk, VideoCompression("libx264", bits_per_pixel=max(rate, 1.01 * least))]
    return [*shrunk, VideoCompression("libx264", crf=rng.uniform(config.crf_low, config.crf_high))]
