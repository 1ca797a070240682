"""How STAR is run: every default and limit of it."""

import math
from dataclasses import dataclass
from typing import Literal

from ...config import ColorFix
from ...diffusion.config import LEVEL_MODES, LevelMode
from ...errors import SettingError
from ...overlaps import Curve, check_windows

STAR_CLIP = 32
"""Frames that STAR takes together, as published."""

STAR_POSITIVE = (
    "Cinematic, High Contrast, highly detailed, taken using a Canon EOS R camera,   hyper detailed photo - realistic "
    "maximum detail, 32k, Color Grading, ultra HD, extreme meticulous detailing,  skin pore detailing, hyper "
    "sharpness, perfect without deformations."
)
STAR_NEGATIVE = (
    "painting, oil painting, illustration, drawing, art, sketch, oil painting, cartoon, CG Style, 3D render, unreal "
    "engine, blurring, dirty, messy, worst quality, low quality, frames, watermark, signature, jpeg artifacts, "
    "deformed, lowres, over-smooth"
)
"""What the published code adds to a caption, and what it does not want to see."""


@dataclass(frozen=True)
class StarConfig:
    """How STAR is run; the defaults are ours, ``published`` has those of the published code.

    Attributes:
        mode: ``fast`` spends fewer steps on the most noise, ``normal`` spreads them evenly, see ``log_snr``.
        steps: 2 to 1000; the fast mode makes one evaluation fewer.
        seed: decides the noise.
        guidance_scale: how far from the negative text towards the caption and beyond, 1 (the caption alone) and more.
        rescale: 0 to 1: how much of the deviation that guidance adds is taken back.
        suffix: said after every caption.
        separator: said between the two.
        negative: said of what is not wanted.
        window: frames that the network sees together; they overlap by half at every step, and are cut hard.
        span: frames that go through the steps together, in such windows.
        overlap: of these, how many are sampled again with the next span, and blended.
        curve: how one span fades into the next, see ``overlaps.blend_weights``.
        latents: the input's latents: the ``mean`` of what the encoder says, or a ``sample``.
        padding: mirrored, as little as is ``needed``; or white, to 1280x720 at least, as ``published``.
        group: frames that are decoded for their own sake at a time.
        context: frames decoded again before and after every group, so that no group shows.
        color_fix: how colours are brought back to the input's.
        color_source: which are those of the ``enlarged`` input that is restored, or of the input itself, as
            ``published``.
        tile: side of the denoiser's tiles in pixels of the result, a multiple of 64, blended at every step; 0 is the
            whole frame, or what memory allows.
        vae_tile: the same of the autoencoder's.

    Raises:
        SettingError: one of them is out of range.
    """

    mode: LevelMode = "fast"
    steps: int = 15
    seed: int = 666
    guidance_scale: float = 7.5
    rescale: float = 0.2
    suffix: str = STAR_POSITIVE
    separator: str = ", "
    negative: str = STAR_NEGATIVE
    window: int = STAR_CLIP
    span: int = STAR_CLIP
    overlap: int = 8
    curve: Curve = "cosine"
    latents: Literal["mean", "sample"] = "mean"
    padding: Literal["needed", "published"] = "needed"
    group: int = 4
    context: int = 2
    color_fix: ColorFix = "adain"
    color_source: Literal["enlarged", "published"] = "enlarged"
    tile: int = 0
    vae_tile: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= 1000:
            raise SettingError(f"Expected 2 to 1000 steps, got {self.steps}.")
        if not (self.guidance_scale >= 1.0 and math.isfinite(self.guidance_scale)):
            raise SettingError(f"Expected a guidance scale of 1 or more, got {self.guidance_scale}.")
        if not 0.0 <= self.rescale <= 1.0:
            raise SettingError(f"Expected a rescale of 0 to 1, got {self.rescale}.")
        if min(self.window, self.group) < 1 or self.context < 0:
            raise SettingError(
                "Expected a window and a group of 1 frame or more and a context of 0 or more, got "
                f"{self.window}, {self.group} and {self.context}."
            )
        check_windows(self.span, self.overlap, self.curve)
        ways = (
            (self.mode, LEVEL_MODES),
            (self.latents, ("mean", "sample")),
            (self.padding, ("needed", "published")),
            (self.color_source, ("enlarged", "published")),
        )
        for way, known in ways:
            if way not in known:
                raise SettingError(f"Expected {known[0]} or {known[1]}, got {way!r}.")
        for name, side in (("tile", self.tile), ("vae_tile", self.vae_tile)):
            if side < 0 or side % 64:
                raise SettingError(f"Expected a {name} of a multiple of 64 pixels, or 0 for automatic, got {side}.")

    @property
    def together(self) -> int:
        """Frames that the network may see at once: a last window is up to a quarter longer."""
        return min(self.span, self.window + self.window // 4)

    @classmethod
    def published(cls) -> "StarConfig":
        """What the published code does, exactly for shots of up to 130 frames; longer ones are spans of 130.

        Published, all frames of a clip go through the steps together. The spans' stride is a multiple of the group, so
        that groups lie as published.
        """
        return cls(
            separator="",
            span=130,
            overlap=16,
            curve="cut",
            latents="sample",
            group=3,
            padding="published",
            context=0,
            color_source="published",
        )
