"""How the diffusion systems are run: every default and limit of theirs."""

import math
from dataclasses import dataclass, field
from typing import Literal

from ..config import ColorFix
from ..diffusion.config import GUIDANCE_SCALE, PUBLISHED_SCALE, GuidanceConfig
from ..errors import SettingError
from ..overlaps import CURVES, Curve

DIFFUSION_SEGMENT = 8
"""Frames of a segment: each takes long, and a crash loses one segment."""

MGLD_CLIP = 5
"""Frames that MGLD-VSR was trained to see together."""

MGLD_SIDE = 512
"""Pixels of the shorter side that MGLD-VSR was trained at, and of its tiles."""

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
class MgldConfig:
    """How MGLD-VSR is run; the defaults are ours, ``published`` has those of the published code.

    Attributes:
        steps: of the sampler, 2 to 1000.
        seed: decides the noise.
        guidance: by the motion; None is none.
        fidelity: 0 to 1: how much the autoencoder's features of the input lead the decoder.
        color_fix: how colours are brought back to the input's.
        captions: whether what is to be seen is said to the denoiser; published without.
        window: frames that are sampled together.
        overlap: of these, how many are sampled again with the next window, and blended.
        curve: how one window fades into the next, see ``overlaps.blend_weights``.
        reschedule: every window begins with the same noise, its frames shuffled; else every frame has its own.
        context: frames decoded again beside those of a window, so that the decoder knows of its neighbours.
        fill: what a window that is too short is filled up with: ``mirror`` goes back, ``repeat`` stands still.
        tile: side of the denoiser's tiles in pixels of the result, a multiple of 64; 0 chooses by memory.
        vae_tile: the same of the autoencoder's.
        least_side: pixels that the shorter side is enlarged to, if four times the input is less.
        tile_weights: where a tile counts most: in its ``middle``, or half a pixel below as ``published``.
        latents: the input's latents: the ``mean`` of what the encoder says, or a ``sample``.
        padding: to multiples of 64 pixels where ``needed``, or of 32 and always if one side needs it (``published``,
            for frames of no side below that of a tile).
        flow: ``centred`` gives the flow network pictures as it was trained with, 12 updates; ``published`` pictures in
            [0,1] made smaller without averaging, 10 updates.
        outer_tile: pixels of the result of tiles that are restored on their own and averaged; 0 restores frames whole,
            whose steps are tiled anyway.

    Raises:
        SettingError: one of them is out of range.
    """

    steps: int = 50
    seed: int = 42
    guidance: GuidanceConfig | None = field(default_factory=GuidanceConfig)
    fidelity: float = 1.0
    color_fix: ColorFix = "adain"
    captions: bool = True
    window: int = MGLD_CLIP
    overlap: int = 2
    curve: Curve = "cosine"
    reschedule: bool = True
    context: int = 1
    fill: Literal["mirror", "repeat"] = "mirror"
    tile: int = 0
    vae_tile: int = 0
    least_side: int = MGLD_SIDE
    tile_weights: Literal["middle", "published"] = "middle"
    latents: Literal["mean", "sample"] = "mean"
    padding: Literal["needed", "published"] = "needed"
    flow: Literal["centred", "published"] = "centred"
    outer_tile: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= 1000:
            raise SettingError(f"Expected 2 to 1000 steps, got {self.steps}.")
        if not 0.0 <= self.fidelity <= 1.0:
            raise SettingError(f"Expected a fidelity of 0 to 1, got {self.fidelity}.")
        _check_windows(self.window, self.overlap, self.curve)
        if min(self.context, self.outer_tile) < 0 or self.least_side < 64:
            raise SettingError(
                "Expected a context and an outer tile of 0 or more, and a least side of 64 or more, got "
                f"{self.context}, {self.outer_tile} and {self.least_side}."
            )
        for name, side in (("tile", self.tile), ("vae_tile", self.vae_tile)):
            if side < 0 or side % 64:
                raise SettingError(f"Expected a {name} of a multiple of 64 pixels, or 0 for automatic, got {side}.")

    @classmethod
    def published(cls) -> "MgldConfig":
        """What the published code does: segments of 5 frames, the guidance as it is in code, and so on."""
        return cls(
            guidance=GuidanceConfig("reference", PUBLISHED_SCALE),
            captions=False,
            overlap=0,
            reschedule=False,
            context=0,
            fill="repeat",
            tile=MGLD_SIDE,
            tile_weights="published",
            latents="sample",
            padding="published",
            flow="published",
            outer_tile=960,
        )


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
        _check_windows(self.window, self.overlap, self.curve)
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

    @classmethod
    def published(cls) -> "DiffVsrConfig":
        """What the published code does; its shuffle of the noise has no seed."""
        return cls(context=0, end="published", tiling="published")


@dataclass(frozen=True)
class DiffusionSettings:
    """What users choose; what a system does not know it does not look at.

    Attributes:
        steps: of the sampler.
        seed: decides all noise.
        motion_guidance: MGLD-VSR: how strongly frames are made to agree along the motion, 0 is not at all.
        fidelity: MGLD-VSR: how much the input's own features lead the decoder, 0 to 1.
        least_side: MGLD-VSR: pixels of the result that the shorter side is enlarged to while it works, at least.
        cfg: DiffVSR: how closely to follow the caption.
        noise_level: DiffVSR: of the noise added to the input, 0 to 350; more leaves more to be invented.
        overlap: frames that windows share; -1 is the system's own choice.
        tile: side of the denoiser's tiles, in pixels of the result, a multiple of 64; 0 chooses by memory.
        published: do what the published code does, its segments, tiles and slips, instead of what we hold for better.
    """

    steps: int = 50
    seed: int = 0
    motion_guidance: float = GUIDANCE_SCALE
    fidelity: float = MgldConfig.fidelity
    least_side: int = MgldConfig.least_side
    cfg: float = DiffVsrConfig.guidance_scale
    noise_level: int = DiffVsrConfig.noise_level
    overlap: int = -1
    tile: int = 0
    published: bool = False


def _check_windows(window: int, overlap: int, curve: str) -> None:
    if window < 1 or not 0 <= overlap < window:
        raise SettingError(f"Expected windows of 1 frame or more that overlap by less, got {window} and {overlap}.")
    if curve not in CURVES:
        raise SettingError(f"Expected one of the curves {', '.join(CURVES)}, got {curve!r}.")
