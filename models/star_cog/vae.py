"""CogVideoX's autoencoder, diffusers' own, of the size that weights have.

Importing this imports diffusers, which takes seconds: do it where the network is made.
"""

from collections.abc import Mapping
from typing import Any

from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from torch import Tensor, nn

from ..building import without_memory
from .config import LATENT_SCALE, count


class CogVideoXVAE(AutoencoderKLCogVideoX):
    """diffusers' autoencoder: (B,3,4k+1,8h,8w) in [-1,1] and latents (B,16,k+1,h,w)."""

    def to(self, *given: Any, **named: Any) -> Any:  # type: ignore[override]
        """``torch.nn.Module.to``: diffusers' own warns at every change of the dtype."""
        return nn.Module.to(self, *given, **named)


def build_vae(state_dict: Mapping[str, Tensor], groups: int = 32) -> CogVideoXVAE:
    """An autoencoder without memory, on the meta device.

    Args:
        state_dict: its weights in diffusers' names.
        groups: channels are normalised in so many; no tensor tells.

    Raises:
        LookupError: a tensor that tells a size is missing.
        ValueError: there are fewer tensors than sizes and numbers of layers say.
    """
    levels = count(state_dict, r"encoder\.down_blocks\.(\d+)\.resnets\.")
    with without_memory(len(state_dict)):
        return CogVideoXVAE(
            down_block_types=("CogVideoXDownBlock3D",) * levels,
            up_block_types=("CogVideoXUpBlock3D",) * levels,
            block_out_channels=tuple(
                len(state_dict[f"encoder.down_blocks.{i}.resnets.0.conv2.conv.bias"]) for i in range(levels)
            ),
            layers_per_block=count(state_dict, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
            latent_channels=state_dict["decoder.conv_in.conv.weight"].shape[1],
            norm_num_groups=groups,
            scaling_factor=LATENT_SCALE,
        )
