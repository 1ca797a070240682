"""Sizes of DiffVSR's networks; the defaults are the published ones."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

LATENT_CHANNELS = 4
FRAME_CHANNELS = 3
GROUPS = 32
"""Channels are normalised in this many groups."""

ROTARY_KEYS = "freqs"
"""Ending of the keys, all of one buffer, that the published denoiser holds and that are made anew."""


@dataclass(frozen=True)
class UNetConfig:
    """The denoiser.

    Attributes:
        channels: width of each level, finest first, multiples of 32; the finest has no attention.
        blocks: residual blocks a level on the way down; there is one more on the way up.
        heads: of every attention.
        context: width of the text's tokens.
        noise_levels: how many strengths of noise on the low-resolution frames are known.
    """

    channels: tuple[int, ...] = (256, 512, 512, 1024)
    blocks: int = 2
    heads: int = 8
    context: int = 1024
    noise_levels: int = 1000

    @property
    def embedding(self) -> int:
        """Width of the time embedding."""
        return 4 * self.channels[0]


@dataclass(frozen=True)
class VAEConfig:
    """The autoencoder: ``blocks`` residual blocks a level in the encoder, one more in the decoder."""

    channels: tuple[int, ...] = (128, 256, 512)
    blocks: int = 2

    @property
    def factor(self) -> int:
        """How much larger frames are than their latents."""
        return 2 ** (len(self.channels) - 1)


def read_unet_config(state_dict: Mapping[str, Tensor]) -> UNetConfig:
    """The denoiser's sizes from its weights.

    Raises:
        KeyError: a key is missing.
    """
    levels = _count(state_dict, r"down_blocks\.(\d+)\.resnets\.")
    block = "down_blocks.1.attentions.0.transformer_blocks.0."
    return UNetConfig(
        channels=tuple(len(state_dict[f"down_blocks.{i}.resnets.0.conv2.bias"]) for i in range(levels)),
        blocks=_count(state_dict, r"down_blocks\.0\.resnets\.(\d+)\."),
        heads=state_dict[block + "attn_temporal.time_rel_pos_bias.relative_attention_bias.weight"].shape[1],
        context=state_dict[block + "attn2.to_k.weight"].shape[1],
        noise_levels=len(state_dict["class_embedding.weight"]),
    )


def read_vae_config(state_dict: Mapping[str, Tensor]) -> VAEConfig:
    """The autoencoder's sizes from its weights.

    Raises:
        KeyError: a key is missing.
    """
    levels = _count(state_dict, r"encoder\.down_blocks\.(\d+)\.resnets\.")
    return VAEConfig(
        channels=tuple(len(state_dict[f"encoder.down_blocks.{i}.resnets.0.conv2.bias"]) for i in range(levels)),
        blocks=_count(state_dict, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
    )


def _count(state_dict: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number that stands in the keys where the pattern has its group."""
    return 1 + max((int(found[1]) for found in map(re.compile(pattern).match, state_dict) if found), default=-1)
