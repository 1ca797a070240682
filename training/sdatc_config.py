"""Settings of SDATC's training; ``config_file`` reads them. What the paper says is so here by default.

Its sizes: clips of 5 frames, patches of 512, batches of 4, Adam with 5e-5 (``specs/sdatc.md`` section 9).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..core.errors import SettingError
from ..models.sdatc.config import SdatcNetConfig
from ..models.sdatc.dcm import FULL, LIGHT, DcmConfig
from .config import ClipConfig, DiscriminatorConfig, OptimizerConfig, RunConfig, check
from .sdatc_degradation import CompressionConfig

SMALL = DcmConfig(channels=40, groups=4, depth=2, heads=2, upsampler="direct", skip="bicubic")
"""0.2M parameters: what one CPU core can train in an hour."""

DCMS = {"full": FULL, "light": LIGHT, "small": SMALL}
"""DCMs by name; a config may change single fields."""


def _clips() -> ClipConfig:
    return ClipConfig(frames=5, size=512, film=1.0)


def _adam() -> OptimizerConfig:
    return OptimizerConfig(rate=5e-5, clip="all")


@dataclass(frozen=True)
class SdatcDcmConfig(RunConfig):
    """The warm-up of the distortion control module, by the truth alone: our guess, see ``specs/sdatc.md`` section 2.

    Attributes:
        network: which one; None takes that of ``start``.
        start: weights to begin with: a file, or the name of shipped ones.
        compression: how clips are spoilt; shares in ``clips`` of other chains say nothing here.
        pixel: what its result is compared with the truth by: ``l1``, or ``charbonnier``, which is smooth near zero.
        last: factor of the rate of the last convolution, whose every step shows at once.
    """

    clips: ClipConfig = field(default_factory=_clips)
    optimizer: OptimizerConfig = field(default_factory=_adam)
    steps: int = 20_000
    network: DcmConfig | None = None
    start: str = ""
    compression: CompressionConfig = field(default_factory=CompressionConfig)
    pixel: Literal["l1", "charbonnier"] = "l1"
    last: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "at least 0", "last")
        if self.network is None and not self.start:
            raise SettingError(f"Expected network ({', '.join(DCMS)}) or start, got neither; add one.")


@dataclass(frozen=True)
class BaseConfig:
    """Stable Diffusion 2.1 base, which stays as it is.

    Attributes:
        unet: a single file (v2-1_512-ema-pruned), or diffusers' UNet.
        vae: its autoencoder; None is the one in the file of ``unet``.
        text: its text encoder, OpenCLIP ViT-H-14's; None is the one in the file of ``unet``.
    """

    unet: Path
    vae: Path | None = None
    text: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SdatcStage1Config(RunConfig):
    """Stage 1: control branch, prompts of the denoiser, and the DCM with them.

    Attributes:
        base: what it is built on.
        start: the DCM to begin with: a file, or the name of shipped weights.
        sizes: of what is trained, see ``SdatcNetConfig``; stage 2 takes the same.
        compression: how clips are spoilt.
        dcm: weight of the L1 between the DCM's result and the truth, beside the loss of the denoiser; our guess.
        frugal: computes parts again for the gradient instead of keeping what they made.
    """

    base: BaseConfig
    start: str
    clips: ClipConfig = field(default_factory=_clips)
    optimizer: OptimizerConfig = field(default_factory=_adam)
    sizes: SdatcNetConfig = field(default_factory=SdatcNetConfig)
    compression: CompressionConfig = field(default_factory=CompressionConfig)
    dcm: float = 0.1
    frugal: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "at least 0", "dcm")


@dataclass(frozen=True)
class SdatcLosses:
    """Weights of the losses of stage 2, MGLD-VSR's: the paper gives none. 0 switches one off.

    Attributes:
        pixel: L1 against the truth.
        perceptual: VGG19's features, in the place of LPIPS; needs its weights.
        adversarial: how well a discriminator is taken in (vanilla GAN).
        adversarial_from: steps before it counts.
        temporal: L1 of the change from frame to frame.
        warp: structure-weighted L1 between neighbours moved onto each other.
    """

    pixel: float = 1.0
    perceptual: float = 0.5
    adversarial: float = 0.025
    adversarial_from: int = 501
    temporal: float = 0.5
    warp: float = 0.5

    def __post_init__(self) -> None:
        check(self, "at least 0", *self.__dataclass_fields__)


@dataclass(frozen=True)
class PairsConfig:
    """What stage 2 learns from: latents that stage 1 sampled, made before the training begins, and their truths.

    Attributes:
        count: how many clips.
        steps: of the sampling.
        start: from the DCM's latents with noise added (``noisy``), or from noise alone (``noise``): which, the paper
            leaves open.
    """

    count: int = 1000
    steps: int = 50
    start: Literal["noisy", "noise"] = "noisy"

    def __post_init__(self) -> None:
        check(self, "at least 1", "count", least=1)
        check(self, "from 2 to 1000", "steps", least=2, most=1000)


@dataclass(frozen=True, kw_only=True)
class SdatcStage2Config(RunConfig):
    """Stage 2: what the autoencoder's decoder gets.

    Attributes:
        base: what it is built on.
        start: the file of stage 1.
        sizes: of what is trained; None takes those of ``start``.
        compression: how clips are spoilt.
        pairs: what is learned from.
        losses: see there.
        vgg: torchvision's VGG19 (``vgg19-dcbb9e9d.pth``); without it the perceptual loss is off.
        flow: RAFT's weights; without them the shipped SPyNet finds the motion.
        discriminator: see there.
        frugal: as in stage 1.
    """

    base: BaseConfig
    start: Path
    clips: ClipConfig = field(default_factory=_clips)
    optimizer: OptimizerConfig = field(default_factory=_adam)
    sizes: SdatcNetConfig | None = None
    compression: CompressionConfig = field(default_factory=CompressionConfig)
    pairs: PairsConfig = field(default_factory=PairsConfig)
    losses: SdatcLosses = field(default_factory=SdatcLosses)
    vgg: Path | None = None
    flow: Path | None = None
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    frugal: bool = True
