"""Sizes of SDATC's trained parts: what the paper leaves open is a value with a name here.

The paper prints none of these numbers but that 135.1M parameters are trained. With the defaults, and the full DCM, as
many are, to a percent; every single one of them is our guess (``specs/sdatc.md`` sections 3 to 6).
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ...core.errors import SettingError

LATENT_CHANNELS = 4
LATENT_SCALE = 0.18215
"""Latents that the denoiser sees are those of the autoencoder times this."""


@dataclass(frozen=True)
class CapmConfig:
    """A compression-aware prompt module.

    Attributes:
        prompts: how many are weighed, L.
        channels: of a prompt, C_p.
        side: of a prompt, H_p and W_p.
        hidden: channels of the network that weighs the prompts, C_v.
        width: channels of the transformer block; 0 is all that goes into it, C + C_p, which is eq. 7 to the letter, and
            four times as large.
        heads: of its attention.
        expansion: how much wider its feed-forward layer is.
    """

    prompts: int = 5
    channels: int = 64
    side: int = 16
    hidden: int = 64
    width: int = 320
    heads: int = 1
    expansion: float = 2.66

    def __post_init__(self) -> None:
        sizes = (self.prompts, self.channels, self.side, self.hidden, self.heads)
        if min(sizes) < 1 or self.width < 0 or self.width % self.heads or not self.expansion > 0:
            raise SettingError(f"Expected positive sizes and a width divisible by the heads, got {self}.")


@dataclass(frozen=True)
class ControlConfig:
    """The branch that reads the condition.

    Attributes:
        form: ``copy`` of the denoiser's encoder, 363M parameters, too many for the paper's total; or ``light``.
        channels: of the light form's finest level, a multiple of 32.
        multipliers: width of each of its levels over that; as many as the denoiser has.
    """

    form: Literal["light", "copy"] = "light"
    channels: int = 256
    multipliers: tuple[int, ...] = (1, 1, 2, 2)

    def __post_init__(self) -> None:
        if self.form not in ("light", "copy"):
            raise SettingError(f"Expected a control branch light or copy, got {self.form!r}.")
        if self.channels < 1 or not self.multipliers or min(self.multipliers) < 1:
            raise SettingError(f"Expected positive widths of the control branch, got {self}.")


@dataclass(frozen=True)
class StamConfig:
    """The mixing of frames in the decoder.

    Attributes:
        kernel: of the convolution: over ``time`` alone, or a ``cube`` of time and place.
        heads: of the attention along time.
        alpha: one learnt share for a whole ``level``, or one a ``channel``.
        attention: levels with attention, 0 the finest; the others have the convolution alone.
    """

    kernel: Literal["time", "cube"] = "time"
    heads: int = 8
    alpha: Literal["level", "channel"] = "level"
    attention: tuple[int, ...] = (0, 1, 2, 3)

    def __post_init__(self) -> None:
        if self.kernel not in ("time", "cube") or self.alpha not in ("level", "channel") or self.heads < 1:
            raise SettingError(f"Expected a kernel time or cube, an alpha level or channel, some heads, got {self}.")


@dataclass(frozen=True)
class CfwConfig:
    """The controllable feature wrapping.

    Attributes:
        levels: of the decoder that the encoder's features are added at, 0 the finest.
        start: ``nothing``: a last convolution begins with zeros, so that it adds nothing before it is trained;
            ``random``: there is none, as in StableSR.
    """

    levels: tuple[int, ...] = (1, 2)
    start: Literal["nothing", "random"] = "nothing"

    def __post_init__(self) -> None:
        if self.start not in ("nothing", "random"):
            raise SettingError(f"Expected a start of nothing or random, got {self.start!r}.")


@dataclass(frozen=True)
class SdatcNetConfig:
    """All trained parts but the DCM.

    Attributes:
        control: reads the condition.
        unet_capm: at every level of the denoiser's decoder.
        vae_capm: at every level of the autoencoder's decoder.
        stam: mixes frames there.
        cfw: adds the encoder's features there.
    """

    control: ControlConfig = field(default_factory=ControlConfig)
    unet_capm: CapmConfig = field(default_factory=CapmConfig)
    vae_capm: CapmConfig = field(default_factory=lambda: CapmConfig(channels=32, width=0))
    stam: StamConfig = field(default_factory=StamConfig)
    cfw: CfwConfig = field(default_factory=CfwConfig)

    def as_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only; see ``from_dict``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SdatcNetConfig":
        """What ``as_dict`` returned, or a part of it: what is not there is as by default.

        Raises:
            SettingError: there is something unknown, or out of range.
        """
        kinds = {"control": ControlConfig, "unet_capm": CapmConfig, "vae_capm": CapmConfig}
        kinds |= {"stam": StamConfig, "cfw": CfwConfig}
        own = cls().as_dict()
        try:
            parts = {name: kinds[name](**_tuples({**own[name], **given})) for name, given in values.items()}
            return cls(**parts)
        except (KeyError, TypeError) as error:
            raise SettingError(f"Expected SDATC's sizes, got something unknown among them: {error}.") from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
