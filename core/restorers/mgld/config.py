"""How MGLD-VSR is run: every default and limit of it."""

from dataclasses import dataclass, field
from typing import Literal

from ...config import ColorFix
from ...diffusion.config import PUBLISHED_SCALE, GuidanceConfig
from ...diffusion.frame_noise import NoisePlan
from ...errors import SettingError
from ...overlaps import Curve, check_windows

MGLD_CLIP = 5
"""Frames that MGLD-VSR was trained to see together."""

MGLD_SIDE = 512
"""Pixels of the shorter side that MGLD-VSR was trained at, and of its tiles."""


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
        check_windows(self.window, self.overlap, self.curve)
        if min(self.context, self.outer_tile) < 0 or self.least_side < 64:
            raise SettingError(
                "Expected a context and an outer tile of 0 or more, and a least side of 64 or more, got "
                f"{self.context}, {self.outer_tile} and {self.least_side}."
            )
        for name, side in (("tile", self.tile), ("vae_tile", self.vae_tile)):
            if side < 0 or side % 64:
                raise SettingError(f"Expected a {name} of a multiple of 64 pixels, or 0 for automatic, got {side}.")

    @property
    def noise(self) -> NoisePlan:
        """Which noise each frame gets."""
        return NoisePlan(self.seed, self.window if self.reschedule else 0, self.overlap)

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
