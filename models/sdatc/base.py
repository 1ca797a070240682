"""Stable Diffusion 2.1's UNet and autoencoder, as diffusers has them, from the files that users have.

Taken are single-file checkpoints in the original names (``model.diffusion_model.*``, ``first_stage_model.*``) and
diffusers' own; sizes are read off the tensors.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...core.errors import UnknownCheckpointError
from ..building import MOST_TENSORS, fitting, without_memory
from .vae import Autoencoder
from .walk import Unet

UNET, VAE = "model.diffusion_model.", "first_stage_model."
"""What stands before the keys of each network in a single file."""

_HEAD = 64
_UNET_KEYS = (
    "conv_in.weight",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "up_blocks.0.resnets.0.conv1.weight",
)
_VAE_KEYS = ("encoder.conv_in.weight", "decoder.conv_in.weight", "decoder.up_blocks.0.resnets.0.conv1.weight")
_OLD_ATTENTION = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
_GROUPS = 32
_ADVICE = "it may be cut short: download it again"


def load_unet(state_dict: Mapping[str, Tensor], name: str = "the state_dict") -> Unet:
    """Build the UNet that tensors are of and load them, every one of it; others may be among them.

    Memory: a tensor of single precision is taken as it is, others are copied.

    Args:
        state_dict: in the original names or diffusers'.
        name: of the file, for messages.

    Returns:
        It, in eval mode, float32, on the CPU, without gradients.

    Raises:
        UnknownCheckpointError: these are not, or not all, tensors of such a UNet.
    """
    from diffusers import UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    with fitting(f"a whole network in {name}", _ADVICE):
        found = _original(state_dict, UNET, "input_blocks.0.0.weight")
        if found:
            layers = next((i for i in range(1, 10) if f"{UNET}input_blocks.{i}.0.op.weight" in found), 3) - 1
            found = convert_ldm_unet_checkpoint(found, {"layers_per_block": layers})
        found = found or _some(state_dict)
        _require(found, _UNET_KEYS, name, "Stable Diffusion 2.1's UNet")
        with without_memory(len(found)):
            network = UNet2DConditionModel(**_unet_sizes(found))
        return _loaded(network, found)


def load_vae(state_dict: Mapping[str, Tensor], name: str = "the state_dict") -> Autoencoder:
    """The same of Stable Diffusion's autoencoder; see ``load_unet``."""
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    with fitting(f"a whole network in {name}", _ADVICE):
        found = _original(state_dict, VAE, "decoder.up.0.block.0.conv1.weight")
        if found:
            levels = ["level"] * _count(found, VAE + "encoder.down.{}.block.0.conv1.weight")
            found = convert_ldm_vae_checkpoint(found, {"down_block_types": levels, "up_block_types": levels})
        found = found or {_renamed(key): value for key, value in _some(state_dict).items()}
        _require(found, _VAE_KEYS, name, "Stable Diffusion's autoencoder")
        with without_memory(len(found)):
            network = AutoencoderKL(**_vae_sizes(found))
        return _loaded(network, found)


def _original(state_dict: Mapping[str, Tensor], prefix: str, key: str) -> dict[str, Tensor]:
    """What of a file is one network in its original names, with the prefix whether it had it or not; may be nothing."""
    for before in (prefix, ""):
        if before + key in state_dict:
            return _some({prefix + k.removeprefix(before): v for k, v in state_dict.items() if k.startswith(before)})
    return {}


def _some(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same, if these are not so many that renaming them would take for ever."""
    if len(state_dict) > MOST_TENSORS:
        raise ValueError(f"{len(state_dict)} tensors, more than Stable Diffusion has")
    return dict(state_dict)


def _renamed(key: str) -> str:
    """Attention of an autoencoder that diffusers saved before it had its present names."""
    if ".mid_block.attentions." in key:
        for old, new in _OLD_ATTENTION.items():
            key = key.replace(old, new)
    return key


def _require(state_dict: Mapping[str, Tensor], keys: tuple[str, ...], name: str, what: str) -> None:
    missing = [key for key in keys if key not in state_dict]
    if missing:
        raise UnknownCheckpointError(
            f"Expected {what} in {name}, got keys such as {sorted(state_dict)[:3]} without {missing[0]}; choose "
            "v2-1_512-ema-pruned, or the folder that diffusers has of Stable Diffusion 2.1 base."
        )


def _unet_sizes(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    widths = _first_sizes(state_dict, "down_blocks.{}.resnets.0.conv1.weight")
    text = [f"down_blocks.{i}.attentions.0.norm.weight" in state_dict for i in range(len(widths))]
    key = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    return {
        "in_channels": state_dict["conv_in.weight"].shape[1],
        "out_channels": state_dict["conv_out.weight"].shape[0],
        "block_out_channels": tuple(widths),
        "layers_per_block": _count(state_dict, "down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": tuple("CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in text),
        "up_block_types": tuple("CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(text)),
        "cross_attention_dim": state_dict[key].shape[1],
        "attention_head_dim": tuple(max(width // _HEAD, 1) for width in widths),  # diffusers' name for their number
        "use_linear_projection": state_dict["mid_block.attentions.0.proj_in.weight"].ndim == 2,
    }


def _vae_sizes(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    widths = _first_sizes(state_dict, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    return {
        "block_out_channels": tuple(widths),
        "layers_per_block": _count(state_dict, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "latent_channels": state_dict["decoder.conv_in.weight"].shape[1],
        "norm_num_groups": min(_GROUPS, widths[0]),
        "use_quant_conv": "quant_conv.weight" in state_dict,
        "use_post_quant_conv": "post_quant_conv.weight" in state_dict,
    }


def _first_sizes(state_dict: Mapping[str, Tensor], key: str) -> list[int]:
    """First dimensions of the tensors that the key names with the numbers 0, 1, 2, ..."""
    found: list[int] = []
    while (name := key.format(len(found))) in state_dict:
        found.append(state_dict[name].shape[0])
    return found


def _count(state_dict: Mapping[str, Tensor], key: str) -> int:
    return len(_first_sizes(state_dict, key))


def _loaded(network: Any, state_dict: Mapping[str, Tensor]) -> Any:
    """Take exactly the tensors that the network, on the meta device, has."""
    network.load_state_dict({key: state_dict[key].float() for key in network.state_dict()}, strict=True, assign=True)
    return network.eval().requires_grad_(False)
