"""What MGLD-VSR's files hold: the networks by the names they have there, and their sizes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .config import StructConfig, UNetConfig, VAEConfig
from .denoiser import Denoiser
from .video_vae import VideoVAE

UNET, STRUCTURE = "model.diffusion_model.", "structcond_stage_model."
PLAIN_VAE, TEXT, FLOW = "first_stage_model.", "cond_stage_model.", "flownet_model."
"""What stands before the keys of each network in ``mgldvsr_unet.ckpt``."""

_OURS = {UNET: "unet.", STRUCTURE: "structure."}
_VAE_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
_MOST_HEAD = 64


def part(state_dict: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """The tensors whose keys begin with one of these, under their own keys."""
    return {key: value for key, value in state_dict.items() if key.startswith(prefixes)}


def denoiser_keys(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Denoiser and structure encoder under the keys of ``Denoiser``; the rest of the file is other networks'."""
    renamed = {}
    for theirs, ours in _OURS.items():
        for key, value in part(state_dict, theirs).items():
            renamed[ours + key.removeprefix(theirs)] = value
    return renamed


def vae_keys(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The autoencoder without what only its training needed."""
    return part(state_dict, *_VAE_PARTS)


def build_denoiser(state_dict: Mapping[str, Tensor]) -> Denoiser:
    """A denoiser of the size that these tensors have, itself without memory, on the meta device.

    Args:
        state_dict: under our keys, see ``denoiser_keys``.

    Raises:
        LookupError: a tensor that tells a size is missing.
    """
    with torch.device("meta"):
        return Denoiser(_unet_config(state_dict), _structure_config(state_dict))


def build_vae(state_dict: Mapping[str, Tensor]) -> VideoVAE:
    """An autoencoder of the size that these tensors have, as ``build_denoiser``."""
    channels = state_dict["encoder.conv_in.weight"].shape[0]
    widths = _numbered(state_dict, "encoder.down.{}.block.0.conv1.weight")
    config = VAEConfig(
        channels=channels,
        multipliers=tuple(width // channels for width in widths),
        blocks=len(_numbered(state_dict, "encoder.down.0.block.{}.conv1.weight")),
        video="decoder.temporal_mixing.temporal_conv.weight" in state_dict,
    )
    with torch.device("meta"):
        return VideoVAE(config)


def _unet_config(state_dict: Mapping[str, Tensor]) -> UNetConfig:
    channels, multipliers, blocks = _levels(state_dict, "unet.")
    first = "unet.input_blocks.1."
    return UNetConfig(
        channels=channels,
        multipliers=multipliers,
        blocks=blocks,
        head_width=min(_MOST_HEAD, channels // 2),  # no tensor tells it
        context=state_dict[f"{first}1.transformer_blocks.0.attn2.to_k.weight"].shape[1],
        structure=state_dict[f"{first}0.spade.mlp_shared.0.weight"].shape[1],
    )


def _structure_config(state_dict: Mapping[str, Tensor]) -> StructConfig:
    channels, multipliers, blocks = _levels(state_dict, "structure.")
    outputs = state_dict["structure.fea_tran.0.out_layers.3.weight"].shape[0]
    return StructConfig(channels, multipliers, blocks, outputs=outputs)


def _levels(state_dict: Mapping[str, Tensor], network: str) -> tuple[int, tuple[int, ...], int]:
    """Width of the finest level, each level's width over it, residual blocks a level."""
    channels = state_dict[f"{network}input_blocks.0.0.weight"].shape[0]
    levels: list[list[int]] = [[]]
    number = 1
    while (key := f"{network}input_blocks.{number}.0.") + "op.weight" in state_dict or key + "out_layers.3.weight" in (
        state_dict
    ):
        if key + "op.weight" in state_dict:
            levels.append([])
        else:
            levels[-1].append(state_dict[key + "out_layers.3.weight"].shape[0])
        number += 1
    return channels, tuple(level[0] // channels for level in levels), len(levels[0])


def _numbered(state_dict: Mapping[str, Tensor], key: str) -> list[int]:
    """First dimensions of the tensors that the key names with the numbers 0, 1, 2, ..."""
    found: list[int] = []
    while (name := key.format(len(found))) in state_dict:
        found.append(state_dict[name].shape[0])
    return found
