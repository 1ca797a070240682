"""How DiffVSR is run: every default and limit of it."""

import math
from dataclasses import dataclass
from typing import Literal

from ...diffusion.frame_noise import NoisePlan
from ...errors import SettingError
from ...overlaps import Curve, check_windows

DIFFVSR_WHOLE = 400 * 400
"""Pixels of the largest input that DiffVSR's denoiser takes as a whole, as published."""

DIFFVSR_TILE, DIFFVSR_CONTEXT = 256, 64
"""Published side of what a tile is cut out for, and what is restored around it and dropped."""

DIFFVSR_LEAST_TILE = 64
"""Side that no automatic tile goes below."""

DIFFVSR_NEGATIVE = "low quality, blurry, low-resolution, noisy, unsharp, weird textures, worst quality"
DIFFVSR_SUFFIX = "clear, high quality, high-resolution, 4K"
"""What the published code does not want to see, and what it adds to a caption."""


@dataclass(frozen=True)
class DiffVsrConfig:
    """How DiffVSR is run; the defaults are ours, ``published`` has those of the published code.

    Attributes:
        steps: of the sampler, 1 to 500.
        seed: decides the noise.
        guidance_scale: how far from the negative text towards the caption, 1 (the caption alone) and more.
        noise_level: of the noise that is added to the low-resolution frames, 0 to 350: more leaves more to be invented.
        suffix: said after every caption.
        negative: said of what is not wanted.
        window: frames that are sampled together; 8 were, in training.
        overlap: of these, how many are sampled again with the next window, and blended.
        curve: how one window fades into the next, see ``overlaps.blend_weights``.
        reschedule: every window begins with the same noise, its frames shuffled; else every frame has its own.
        context: frames decoded again before and after every four, so that no chunk shows; published without.
        end: the last frames of a shot are those of the last window that is needed (``plain``), or the shot goes back
            on its way until its length is a multiple of the window's, as ``published``.
        tile: side of the denoiser's tiles in pixels of the input; 0 chooses by size and memory.
        decoder_tile: the same of the decoder's.
        tiling: tiles are ``blended`` at every step, or restored on their own and cut hard, as ``published``.
        decoder: computes in ``float32``, as published, or as the other networks do.

    Raises:
        SettingError: one of them is out of range.
    """

    steps: int = 50
    seed: int = 10
    guidance_scale: float = 5.0
    noise_level: int = 50
    suffix: str = DIFFVSR_SUFFIX
    negative: str = DIFFVSR_NEGATIVE
    window: int = 8
    overlap: int = 4
    curve: Curve = "code"
    reschedule: bool = True
    context: int = 2
    end: Literal["plain", "published"] = "plain"
    tile: int = 0
    decoder_tile: int = 0
    tiling: Literal["blended", "published"] = "blended"
    decoder: Literal["float32", "same"] = "float32"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 500:
            raise SettingError(f"Expected 1 to 500 steps, got {self.steps}.")
        if not 0 <= self.noise_level <= 350:
            raise SettingError(f"Expected a noise level of 0 to 350, got {self.noise_level}.")
        if not (self.guidance_scale >= 1.0 and math.isfinite(self.guidance_scale)):
            raise SettingError(f"Expected a guidance scale of 1 or more, got {self.guidance_scale}.")
        check_windows(self.window, self.overlap, self.curve)
        ways = (
            (self.tiling, ("blended", "published")),
            (self.end, ("plain", "published")),
            (self.decoder, ("float32", "same")),
        )
        for way, known in ways:
            if way not in known:
                raise SettingError(f"Expected {known[0]} or {known[1]}, got {way!r}.")
        if min(self.context, self.tile, self.decoder_tile) < 0:
            raise SettingError(
                f"Expected a context and tiles of 0 or more, got {self.context}, {self.tile} and {self.decoder_tile}."
            )

    @property
    def noise(self) -> NoisePlan:
        """Which noise each frame gets."""
        return NoisePlan(self.seed, self.window if self.reschedule else 0, self.overlap)

    @classmethod
    def published(cls) -> "DiffVsrConfig":
        """What the published code does; its shuffle of the noise has no seed."""
        return cls(context=0, end="published", tiling="published")
