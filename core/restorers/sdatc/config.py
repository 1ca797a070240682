"""How SDATC is run: every default and limit of it."""

import math
from dataclasses import dataclass, field
from typing import Literal

from ...config import ColorFix
from ...diffusion.config import CHUNK, GUIDANCE_SCALE
from ...diffusion.frame_noise import NoisePlan
from ...errors import SettingError
from ...overlaps import Curve, check_windows

SDATC_CLIP = 5
"""Frames that SDATC is trained to see together."""

SDATC_SIDE = 512
"""Pixels of the side of what SDATC is trained with, and of its tiles."""

EQUATION_SCALE = 10.0
"""Factor of eq. 13 with the logarithm of the variance, as MGLD-VSR's code has it."""


@dataclass(frozen=True)
class FlowGuidance:
    """How latents are guided by the optical flow.

    Attributes:
        place: ``prediction`` moves the predicted clean latents by ``diffusion.guidance.guided``; ``step`` moves the
            noisy ones after every step, down the warping error's gradient (eq. 12 and 13).
        scale: of ``prediction``, how many steps down the error; of ``step``, the factor of the gradient of the error's
            mean over a frame.
        by: of ``step``, what the gradient is multiplied with besides: the step's variance ``var``, as in eq. 13, which
            asks for a scale of about 1000; or what that is the logarithm of, ``logvar``, as MGLD-VSR does.
        chunk: pairs of frames compared at a time; the result is the same, the memory is not.

    Raises:
        SettingError: one of them is out of range.
    """

    place: Literal["prediction", "step"] = "prediction"
    scale: float = GUIDANCE_SCALE
    by: Literal["var", "logvar"] = "logvar"
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        if self.place not in ("prediction", "step") or self.by not in ("var", "logvar"):
            raise SettingError(f"Expected guidance of a prediction or step, by var or logvar, got {self}.")
        if not (self.scale >= 0 and math.isfinite(self.scale)) or self.chunk < 1:
            raise SettingError(f"Expected a guidance scale of 0 or more and chunks of 1 or more, got {self}.")


@dataclass(frozen=True)
class SdatcConfig:
    """How SDATC is run; the defaults are ours, ``published`` has what the paper says, where it says something.

    Attributes:
        steps: of the sampler, 2 to 1000.
        seed: decides the noise.
        start: sampling begins with the condition's latents and the noise of the last step (``condition``), or with
            ``noise`` alone, as the paper says.
        guidance: by the optical flow; None is none.
        flow_frames: whose flow: ``dcm``, what the DCM made, or the ``input``.
        fidelity: 0 to 1: how much the features of ``features`` lead the decoder, w of eq. 11.
        features: of what the encoder's features are: ``dcm`` or ``input``; what the second stage was trained with.
        color_fix: how colours are brought back to the input's.
        captions: whether what is to be seen is said to the denoiser; trained without.
        window: frames that are sampled together.
        overlap: of these, how many are sampled again with the next window.
        joint: what is done with these: ``blend`` fades one window into the next; ``fixed`` keeps those of the window
            before, with noise, beside which the new ones are sampled.
        curve: of ``blend``, see ``overlaps.blend_weights``.
        reschedule: every window begins with the same noise, its frames shuffled; else every frame has its own.
        context: frames decoded again beside those of a window, so that the decoder knows of its neighbours.
        fill: what a window that is too short is filled up with: ``mirror`` goes back, ``repeat`` stands still.
        tile: side of the denoiser's tiles in pixels of the result, a multiple of 64; 0 chooses by memory.
        vae_tile: the same of the autoencoder's.

    Raises:
        SettingError: one of them is out of range.
    """

    steps: int = 50
    seed: int = 42
    start: Literal["condition", "noise"] = "condition"
    guidance: FlowGuidance | None = field(default_factory=FlowGuidance)
    flow_frames: Literal["dcm", "input"] = "dcm"
    fidelity: float = 0.75
    features: Literal["dcm", "input"] = "dcm"
    color_fix: ColorFix = "adain"
    captions: bool = True
    window: int = SDATC_CLIP
    overlap: int = 2
    joint: Literal["blend", "fixed"] = "blend"
    curve: Curve = "cosine"
    reschedule: bool = True
    context: int = 1
    fill: Literal["mirror", "repeat"] = "mirror"
    tile: int = 0
    vae_tile: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= 1000:
            raise SettingError(f"Expected 2 to 1000 steps, got {self.steps}.")
        if not 0.0 <= self.fidelity <= 1.0:
            raise SettingError(f"Expected a fidelity of 0 to 1, got {self.fidelity}.")
        check_windows(self.window, self.overlap, self.curve)
        ways = (
            (self.start, ("condition", "noise")),
            (self.flow_frames, ("dcm", "input")),
            (self.features, ("dcm", "input")),
            (self.joint, ("blend", "fixed")),
            (self.fill, ("mirror", "repeat")),
        )
        for way, known in ways:
            if way not in known:
                raise SettingError(f"Expected {known[0]} or {known[1]}, got {way!r}.")
        if self.context < 0:
            raise SettingError(f"Expected a context of 0 frames or more, got {self.context}.")
        for name, side in (("tile", self.tile), ("vae_tile", self.vae_tile)):
            if side < 0 or side % 64:
                raise SettingError(f"Expected a {name} of a multiple of 64 pixels, or 0 for automatic, got {side}.")

    @property
    def noise(self) -> NoisePlan:
        """Which noise each frame gets."""
        return NoisePlan(self.seed, self.window if self.reschedule else 0, self.overlap)

    @classmethod
    def published(cls) -> "SdatcConfig":
        """What the paper says: noise to begin with, eq. 13, clips of 5 frames, no text; what it leaves open is ours."""
        return cls(
            start="noise",
            guidance=FlowGuidance("step", EQUATION_SCALE, "logvar"),
            captions=False,
            overlap=0,
            reschedule=False,
            context=0,
            tile=SDATC_SIDE,
        )
