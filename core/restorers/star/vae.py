"""Stable Video Diffusion's autoencoder: diffusers' networks under their own key names."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

_LEVELS = "encoder.down_blocks."


@dataclass(frozen=True)
class SvdVaeConfig:
    """Size of the autoencoder.

    Attributes:
        block_out_channels: width of each level, finest first; each halves the frame, but the last.
        layers_per_block: residual blocks a level of the encoder; the decoder has one more.
        latent_channels: of the latents.
    """

    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 4

    @classmethod
    def from_state(cls, state_dict: Mapping[str, Tensor]) -> "SvdVaeConfig":
        """The size that these weights have.

        Raises:
            LookupError: a tensor that tells a size is missing.
            ValueError: there is no residual block.
        """
        inner = (key.removeprefix(_LEVELS).split(".") for key in state_dict if key.startswith(_LEVELS))
        places = {(int(parts[0]), int(parts[2])) for parts in inner if parts[1] == "resnets"}
        levels = 1 + max(level for level, _ in places)
        widths = (state_dict[f"{_LEVELS}{level}.resnets.0.conv1.weight"].shape[0] for level in range(levels))
        return cls(tuple(widths), sum(not level for level, _ in places), state_dict["decoder.conv_in.weight"].shape[1])


class SvdVae(nn.Module):
    """The encoder of pictures and the decoder of clips, out of diffusers' ``AutoencoderKLTemporalDecoder``.

    A plain module: diffusers' own warns whenever it is moved to another precision.
    """

    def __init__(self, config: SvdVaeConfig) -> None:
        from diffusers import AutoencoderKLTemporalDecoder

        super().__init__()
        self.config = config
        kinds = ("DownEncoderBlock2D",) * len(config.block_out_channels)
        whole: Any = AutoencoderKLTemporalDecoder(down_block_types=kinds, **asdict(config))
        self.encoder, self.quant_conv, self.decoder = whole.encoder, whole.quant_conv, whole.decoder

    def encode(self, frames: Tensor) -> Tensor:
        """(N,3,8h,8w) in [-1,1] -> mean and logarithm of the variance of their latents, (N,8,h,w), not scaled."""
        moments: Tensor = self.quant_conv(self.encoder(frames))
        return moments

    def decode(self, latents: Tensor) -> Tensor:
        """(T,4,h,w) of frames that see each other, not scaled -> (T,3,8h,8w), about [-1,1]."""
        count = len(latents)
        video = torch.zeros(1, count, dtype=latents.dtype, device=latents.device)  # none of them is a picture alone
        frames: Tensor = self.decoder(latents, num_frames=count, image_only_indicator=video)
        return frames
