"""How STAR's CogVideoX version is run: every default and limit of it."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ...config import ColorFix
from ...diffusion.frame_noise import NoisePlan
from ...errors import SettingError
from ...overlaps import Curve, check_windows

TRAINED_STEPS = 1000

TILE = 480, 720
"""Height and width in pixels that STAR's CogVideoX version was trained at."""

LATENT = 8
"""Pixels of a frame that a pixel of its latents stands for, each way."""

RATIO = 4
"""Frames that a latent stands for; the first of a clip stands for one."""

Guidance = Literal["published", "ramp", "constant"]


@dataclass(frozen=True)
class StarCogConfig:
    """How STAR's CogVideoX version is run; the defaults are ours, ``published`` has those of the published code.

    Attributes:
        steps: of the sampler, 1 to 1000.
        seed: decides the noise.
        guidance_scale: how far beyond what is seen without a text towards the caption, 0 (the caption alone) and more.
        guidance: how much of it is applied when: ``published`` puts the timestep where the step's number was meant, so
            that it jumps about between none and all; ``ramp`` is what was meant, little until the last fifth of the
            steps; ``constant`` is all, always. See ``sampling.guidance``.
        suffix: said after every caption; published without.
        alphas: how much is left of the picture at each step: as it was ``trained``, or the ``published`` sampler's,
            which spreads the steps it takes from nothing to the most again.
        window: frames that are sampled together, 4k+1; 25 were, in training.
        overlap: of these, how many are sampled again with the next window, and blended, a multiple of 4. The published
            code restores no more than 25 frames.
        curve: how one window fades into the next, see ``overlaps.blend_weights``.
        reschedule: every window begins with the same noise, its latents shuffled; else each latent has its own.
        context: latents that are decoded again before those that are new, so that the decoder knows of them; as
            published, all of the 25 frames.
        latents: the input's latents: the ``mean`` of what the encoder says, or a ``sample``.
        color_fix: how colours are brought back to the input's; the published code takes the original's.
        tile: height in pixels of the result of the tiles of every step, which are half as wide again, a multiple of
            32; 0 is what was trained, or less if memory is short.
        vae_tile: side of the autoencoder's, a multiple of 32; 0 chooses by memory.

    Raises:
        SettingError: one of them is out of range.
    """

    steps: int = 50
    seed: int = 42
    guidance_scale: float = 6.0
    guidance: Guidance = "published"
    suffix: str = ""
    alphas: Literal["trained", "published"] = "trained"
    window: int = 25
    overlap: int = 8
    curve: Curve = "cosine"
    reschedule: bool = True
    context: int = 2
    latents: Literal["mean", "sample"] = "mean"
    color_fix: ColorFix = "adain"
    tile: int = 0
    vae_tile: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= TRAINED_STEPS:
            raise SettingError(f"Expected 1 to {TRAINED_STEPS} steps, got {self.steps}.")
        if not (self.guidance_scale >= 0 and math.isfinite(self.guidance_scale)):
            raise SettingError(f"Expected a guidance scale of 0 or more, got {self.guidance_scale}.")
        check_windows(self.window, self.overlap, self.curve)
        if self.window % RATIO != 1 or self.overlap % RATIO or not RATIO <= self.overlap < self.window - RATIO:
            raise SettingError(
                f"Expected windows of 9, 13, 17, ... frames that overlap by 4, 8, ... frames, at least 5 fewer, got "
                f"{self.window} and {self.overlap}."
            )
        ways: tuple[tuple[str, tuple[str, ...]], ...] = (
            (self.guidance, get_args(Guidance)),
            (self.alphas, ("trained", "published")),
            (self.latents, ("mean", "sample")),
            (self.color_fix, get_args(ColorFix)),
        )
        for way, known in ways:
            if way not in known:
                raise SettingError(f"Expected one of {', '.join(known)}, got {way!r}.")
        if self.context < 1:
            raise SettingError(f"Expected a context of 1 latent or more, got {self.context}.")
        for name, side in (("tile", self.tile), ("vae_tile", self.vae_tile)):
            if side < 0 or side % 32:
                raise SettingError(f"Expected a {name} of a multiple of 32 pixels, or 0 for automatic, got {side}.")

    @property
    def length(self) -> int:
        """Latents of a window."""
        return self.window // RATIO + 1

    @property
    def noise(self) -> NoisePlan:
        """Which noise each latent gets; a window begins with the latent before the new ones."""
        return NoisePlan(self.seed, self.length if self.reschedule else 0, self.overlap // RATIO + 1)

    @classmethod
    def published(cls) -> "StarCogConfig":
        """What the published code does with 25 frames of 120x180 pixels; others it cannot restore."""
        return cls(alphas="published", reschedule=False, latents="sample", context=6)
