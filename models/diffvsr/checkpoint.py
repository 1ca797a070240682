"""The two published files of DiffVSR: networks of the sizes that their weights have."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .config import read_unet_config, read_vae_config
from .unet import UNet
from .vae import VAE

UNET_KEYS = (
    "class_embedding.weight",
    "down_temporal_blocks.0.resblocks_3d_t.conv1.weight",
    "mid_block.attentions.0.transformer_blocks.0.attn_temporal_small.to_q.weight",
)
"""What a file of the denoiser holds, and no other."""

VAE_KEYS = ("decoder.time_conv_out.weight", "decoder.mid_block.attentions.0.time_mix_block.norm_in.weight")
"""What a file of the autoencoder holds, and no other."""


def build_unet(state_dict: Mapping[str, Tensor]) -> UNet:
    """A denoiser of the size that these weights have, itself without memory, on the meta device.

    Raises:
        LookupError: a tensor that tells a size is missing.
    """
    with torch.device("meta"):
        return UNet(read_unet_config(state_dict))


def build_vae(state_dict: Mapping[str, Tensor]) -> VAE:
    """An autoencoder of the size that these weights have, as ``build_unet``."""
    with torch.device("meta"):
        return VAE(read_vae_config(state_dict))
