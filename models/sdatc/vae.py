"""SDATC's autoencoder: Stable Diffusion's, frozen, whose decoder mixes frames and is led by prompts and the condition.

Of each level of the decoder, first the residual blocks as they are, then STAM, CAPM and CFW, then it is made larger.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...core.errors import ShapeError
from ..mgld.vae_blocks import Fusion
from .capm import Capm
from .config import CfwConfig, SdatcNetConfig
from .stam import Stam
from .walk import Run, enlarge, frugally, plainly

Autoencoder = Any
"""diffusers' ``AutoencoderKL``, whose parts mypy cannot see."""

_CLIPPED = (-30.0, 20.0)
"""Range of the logarithm of the latents' variance, as in Stable Diffusion."""


class SdatcVae(nn.Module):
    """Frames to latents and back. A new one does what the autoencoder does.

    Args:
        vae: its weights stay as they are, see ``trained``.
        config: sizes of what is added.
    """

    def __init__(self, vae: Autoencoder, config: SdatcNetConfig) -> None:
        super().__init__()
        self.config = config
        self.frugal = False
        """See ``SdatcDenoiser``."""
        self.vae: Autoencoder = vae.requires_grad_(False)
        finest_last = [block.resnets[-1].out_channels for block in vae.decoder.up_blocks]
        channels = list(enumerate(reversed(finest_last)))
        attended = config.stam.attention
        self.stam = nn.ModuleList(Stam(width, config.stam, level in attended) for level, width in channels)
        self.capm = nn.ModuleList(Capm(width, config.vae_capm) for _, width in channels)
        self.cfw = nn.ModuleDict({str(i): _Cfw(finest_last[-1 - i], config.cfw) for i in sorted(config.cfw.levels)})

    @property
    def factor(self) -> int:
        """Pixels of a frame that a pixel of its latents stands for, each way."""
        return 2 ** (len(self.stam) - 1)

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: value for name, value in self.named_parameters() if not name.startswith("vae.")}

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Encode what the DCM made, or any frames; a gradient goes through to them.

        Args:
            frames: (N,3,H,W) RGB in [-1,1], sides multiples of ``factor``.

        Returns:
            Mean and logarithm of the variance of the latents, (N,4,H/8,W/8) each, not scaled; and the features for
            ``decode``.

        Raises:
            ShapeError: a side is no such multiple.
        """
        if frames.ndim != 4 or frames.shape[2] % self.factor or frames.shape[3] % self.factor:
            raise ShapeError(
                f"Expected frames (N,3,H,W) with sides that are multiples of {self.factor}, got {tuple(frames.shape)}; "
                "pad them first."
            )
        encoder, run = self.vae.encoder, frugally if self.frugal else plainly
        x, features = encoder.conv_in(frames), []
        for level, block in enumerate(encoder.down_blocks):
            x = run(_through, block.resnets, x)
            if str(level) in self.cfw:
                features.append(x)
            for downsampler in block.downsamplers or ():
                x = downsampler(x)
        x = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(run(encoder.mid_block, x))))
        mean, log_variance = self._optional("quant_conv", x).chunk(2, dim=1)
        return mean, log_variance.clamp(*_CLIPPED), features

    def decode(self, z: Tensor, features: Sequence[Tensor], frames: int, weight: float = 1.0) -> Tensor:
        """Decode latents.

        Args:
            z: (B*T,4,h,w), not scaled.
            features: of the same frames, as ``encode`` gives them.
            frames: T, of a clip: they are mixed with each other.
            weight: 0 to 1: how much the features count; training uses 1.

        Returns:
            (B*T,3,8h,8w) RGB about [-1,1], not clamped.

        Raises:
            ShapeError: the batch is no whole number of clips, or the features are not those of these levels.
        """
        if z.shape[0] % frames or len(features) != len(self.cfw):
            raise ShapeError(
                f"Expected latents of clips of {frames} frames with {len(self.cfw)} levels of features, got "
                f"{tuple(z.shape)} with {len(features)}; pad the last clip, and pass what encode() returned."
            )
        decoder, run = self.vae.decoder, frugally if self.frugal else plainly
        encoded = dict(zip(self.cfw, features, strict=True))
        x = run(decoder.mid_block, decoder.conv_in(self._optional("post_quant_conv", z)))
        for level, block in zip(reversed(range(len(self.stam))), decoder.up_blocks, strict=True):
            x = run(_through, block.resnets, x)
            x = _each(run, self.capm[level], run(self.stam[level], x, frames))
            if (name := str(level)) in encoded and weight:
                x = run(self.cfw[name], x, encoded[name], weight)
            x = enlarge(block, x)
        return decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(x)))

    def _optional(self, name: str, x: Tensor) -> Tensor:
        layer: Any = getattr(self.vae, name, None)
        return x if layer is None else layer(x)


class _Cfw(nn.Module):
    """F_d + w C([F_e ; F_d]) (eq. 11), with StableSR's layers."""

    def __init__(self, channels: int, config: CfwConfig) -> None:
        super().__init__()
        self.fusion = Fusion(channels)
        if config.start == "nothing":
            self.out = nn.Conv2d(channels, channels, 1)
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, decoded: Tensor, encoded: Tensor, weight: float) -> Tensor:
        """(N,C,h,w) twice -> (N,C,h,w)."""
        if not hasattr(self, "out"):
            return self.fusion(decoded, encoded, weight)
        return decoded + weight * self.out(self.fusion(decoded, encoded, 1.0) - decoded)


def _each(run: Run, capm: nn.Module, x: Tensor) -> Tensor:
    """Frame by frame where no gradient is needed: a CAPM takes more memory than all the rest."""
    return run(capm, x) if torch.is_grad_enabled() else torch.cat([capm(frame) for frame in x.split(1)])


def _through(resnets: nn.ModuleList, x: Tensor) -> Tensor:
    for resnet in resnets:
        x = resnet(x, None)
    return x
