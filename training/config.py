"""Every setting of a training run; ``config_file`` reads them from TOML or JSON.

Defaults are those of the paper where it says them (``specs`` of TextOVSR, section 4).
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..core.config import DEVICE
from ..core.errors import SettingError
from ..models.text_ovsr_config import LITE, TextOVSRConfig

NETWORKS = {
    "lite": LITE,
    "base": replace(LITE, channels=64, cleaning_blocks=8, flow_levels=6),
    "published": TextOVSRConfig(),
}
"""Networks by name; a config may change single fields."""

SIZE_STEP = 64
"""HR clips are so many pixels a side, or a multiple: rot_p needs 16 patches a side at a quarter of the size."""


def check(config: Any, wanted: str, *names: str, least: float = 0.0, most: float = float("inf")) -> None:
    """Raise ``SettingError`` for a setting out of its range."""
    for name in names:
        value = getattr(config, name)
        if not least <= value <= most:
            raise SettingError(f"Expected {name} to be {wanted}, got {value}; correct it.")


@dataclass(frozen=True)
class ClipConfig:
    """What the clips are like.

    Attributes:
        frames: frames a clip.
        size: side of the square HR clip in pixels, a multiple of 64; LR is a quarter of it.
        film: share of clips taken from film rather than animated photographs.
        clean: share of clips only shrunk.
        light: share of clips with the light chain; the rest get the second-order chain.
        text: share of clips that come with their degradation text; the others come without any.
        caption: share of clips that come with their caption, where their file has one beside it (.txt or .vtt).
        lettering: share of animated photographs with lines of text over them.
    """

    frames: int = 7
    size: int = 256
    film: float = 0.25
    clean: float = 0.2
    light: float = 0.45
    text: float = 0.5
    caption: float = 0.5
    lettering: float = 0.25

    def __post_init__(self) -> None:
        check(self, "at least 1", "frames", least=1)
        check(self, "a share from 0 to 1", "film", "clean", "light", "text", "caption", "lettering", most=1)
        if self.clean + self.light > 1:
            raise SettingError(f"Expected clean + light to be at most 1, got {self.clean} + {self.light}; lower one.")
        if self.size < SIZE_STEP or self.size % SIZE_STEP:
            raise SettingError(f"Expected size to be a multiple of {SIZE_STEP}, got {self.size}; correct it.")


@dataclass(frozen=True)
class MaterialConfig:
    """What is taken from the folder of images and videos.

    Attributes:
        film_clips: clips taken from all videos together, evenly spread.
        film_scale: films are shrunk to this, so that their own compression and blur are gone.
        film_gigabytes: limit of the decoded clips, which are kept on the disk beside the checkpoints.
        longest_side: larger photographs are shrunk to it, in pixels: cameras' are seldom sharp at the pixel.
        held_out: share of the images and film clips that is kept for validation when that has no folder of its own.
    """

    film_clips: int = 120
    film_scale: float = 0.5
    film_gigabytes: float = 4.0
    longest_side: int = 2000
    held_out: float = 0.05

    def __post_init__(self) -> None:
        check(self, "at least 0", "film_clips", "film_gigabytes")
        check(self, "above 0 and at most 1", "film_scale", least=1e-3, most=1)
        check(self, "at least 64", "longest_side", least=64)
        check(self, "a share from 0 to 0.5", "held_out", most=0.5)


@dataclass(frozen=True)
class Losses:
    """Weights of the losses of stage 1; 0 switches one off.

    Attributes:
        pixel: Charbonnier against the truth.
        sharpen: strength of the unsharp mask put on the truth that ``pixel`` and ``edges`` compare with; 0 for none.
        cleaning: L1 of the cleaned frames against the shrunk truth.
        negative: L1 of the negative branch against the positive one, both learning; needs a network that has one.
        edges: L1 of finite differences at three scales: crisp edges without any backbone.
        temporal: L1 of the change from frame to frame: against flicker.
    """

    pixel: float = 1.0
    sharpen: float = 0.5
    cleaning: float = 1.0
    negative: float = 0.5
    edges: float = 0.0
    temporal: float = 0.0

    def __post_init__(self) -> None:
        check(self, "at least 0", *self.__dataclass_fields__)


@dataclass(frozen=True)
class Stage2Losses(Losses):
    """Weights of the losses of stage 2, after those of stage 1.

    Attributes:
        perceptual: L1 of VGG19's features; needs its weights.
        clip_iqa: 1 - CLIP-IQA; needs CLIP's weights.
        adversarial: how well the discriminator is taken in (vanilla GAN).
        matching: L1 of the discriminator's own features of the result and of the truth; needs no backbone.
    """

    perceptual: float = 1.0
    clip_iqa: float = 0.5
    adversarial: float = 0.05
    matching: float = 0.0


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, betas .9 and .99.

    Attributes:
        rate: learning rate.
        flow_rate: that of SPyNet, which starts trained.
        flow_frozen: steps before SPyNet learns too.
        text_frozen: the text encoder never learns: for one that is CLIP's.
        warmup: steps over which the rate rises from zero.
        schedule: ``constant`` (the paper's), or ``cosine`` that falls to zero at the last step.
        clip: what the gradient norm is limited of: ``all``, ``cleaning`` (the paper's) or ``none``.
        clip_norm: the limit.
    """

    rate: float = 1e-4
    flow_rate: float = 2.5e-5
    flow_frozen: int = 0
    text_frozen: bool = False
    warmup: int = 50
    schedule: Literal["constant", "cosine"] = "constant"
    clip: Literal["all", "cleaning", "none"] = "cleaning"
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        check(self, "at least 0", "rate", "flow_rate", "flow_frozen", "warmup", "clip_norm")


@dataclass(frozen=True)
class ValidationConfig:
    """When and on what the averaged weights are looked at.

    Attributes:
        every: steps between validations; 0 for none.
        data: folder of images and videos of its own; without one, the part that ``material.held_out`` keeps back.
        clips: clips looked at, always the same.
    """

    every: int = 1000
    data: Path | None = None
    clips: int = 4

    def __post_init__(self) -> None:
        check(self, "at least 0", "every")
        check(self, "at least 1", "clips", least=1)


@dataclass(frozen=True)
class RunConfig:
    """What every run has.

    Attributes:
        data: folder of images and videos, searched with all folders below.
        output: folder of checkpoints, pictures and figures; a run that has begun there goes on.
        clips, material, optimizer, validation: see there.
        steps: optimiser steps in all.
        batch: clips computed at once.
        accumulate: batches a step.
        ema: decay of the averaged weights, which are the ones that count.
        seed: of everything random.
        save_every: steps between checkpoints.
        workers: data processes.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        precision: ``auto`` is bf16 autocast on a GPU and fp32 on a CPU.
    """

    data: Path
    output: Path
    clips: ClipConfig = field(default_factory=ClipConfig)
    material: MaterialConfig = field(default_factory=MaterialConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    steps: int = 100_000
    batch: int = 4
    accumulate: int = 1
    ema: float = 0.999
    seed: int = 0
    save_every: int = 500
    workers: int = 2
    device: str = DEVICE
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        check(self, "at least 1", "steps", "batch", "accumulate", "save_every", least=1)
        check(self, "at least 0", "workers", "seed")
        check(self, "from 0 to 1", "ema", most=1)


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """A run of stage 1.

    Attributes:
        network: what to train; None takes that of ``start``.
        start: weights to begin with: a file, or the name of shipped ones.
        basicvsr: or a BasicVSR checkpoint (.pth) to take the flow and, at 64 channels, the recurrence from.
        text_encoder: whose text encoder a network without ``start`` takes over: a name that ships, a TextOVSR file, or
            a CLIP file or folder (``core.text.tower``).
        noise_bank: file of ``textovsr train noise-bank``; without one, noise is synthesised.
        losses: see there.
    """

    network: TextOVSRConfig | None = None
    start: str = ""
    basicvsr: Path | None = None
    text_encoder: str = ""
    noise_bank: Path | None = None
    losses: Losses = field(default_factory=Losses)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network is None and not self.start:
            raise SettingError(f"Expected network ({', '.join(NETWORKS)}) or start, got neither; add one.")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The opponent of stage 2.

    Attributes:
        channels: at the full resolution; 64 is the published one.
        rate: its learning rate.
    """

    channels: int = 64
    rate: float = 1e-4

    def __post_init__(self) -> None:
        check(self, "at least 1", "channels", least=1)
        check(self, "at least 0", "rate")


@dataclass(frozen=True)
class Stage2Config(TrainConfig):
    """A run of stage 2.

    Attributes:
        vgg: torchvision's VGG19 (``vgg19-dcbb9e9d.pth``); without it the perceptual loss is off.
        clip: CLIP RN50 with OpenAI's key names; without it the CLIP-IQA loss is off.
        discriminator: see there.
    """

    losses: Stage2Losses = field(default_factory=Stage2Losses)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=5e-5))
    steps: int = 150_000
    vgg: Path | None = None
    clip: Path | None = None
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
