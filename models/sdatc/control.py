"""SDATC's control branch: an encoder beside the denoiser's that also reads the condition (eq. 5).

``specs/sdatc.md`` section 3.
"""

import copy

import torch
from torch import Tensor, nn

from ...core.errors import SettingError
from .config import LATENT_CHANNELS, ControlConfig
from .walk import Run, Unet, down, embed_time, plainly, widths

_HEAD = 64


class ControlBranch(nn.Module):
    """Residuals for the layers of the denoiser's encoder and its middle, by convolutions that begin with zeros.

    Args:
        unet: the denoiser, of which the ``copy`` takes the encoder and the ``light`` form the number of layers.
        config: which form.

    Raises:
        SettingError: the light form has another number of levels than the denoiser.
    """

    def __init__(self, unet: Unet, config: ControlConfig) -> None:
        super().__init__()
        source = unet if config.form == "copy" else _light(unet, config)
        self.time_proj = copy.deepcopy(source.time_proj)
        self.time_embedding = copy.deepcopy(source.time_embedding)
        self.conv_in = _wider(source.conv_in)
        self.down_blocks = copy.deepcopy(source.down_blocks)
        self.mid_block = copy.deepcopy(source.mid_block)
        own, theirs = widths(source), widths(unet)
        self.zero = nn.ModuleList(_zero(*pair) for pair in zip(own, theirs, strict=True))
        self.zero_middle = _zero(own[-1], theirs[-1])

    def forward(
        self, z: Tensor, condition: Tensor, timestep: Tensor, text: Tensor, run: Run = plainly
    ) -> tuple[Tensor, list[Tensor]]:
        """Read noisy latents and the condition, (N,4,h,w) each.

        Returns:
            What is to be added to the middle, and to each layer of the encoder; see ``walk.down``.
        """
        x = torch.cat([z, condition], dim=1)
        middle, skips = down(self, x, embed_time(self, timestep, x), text, run)
        return self.zero_middle(middle), [zero(skip) for zero, skip in zip(self.zero, skips, strict=True)]


def _wider(conv: nn.Conv2d) -> nn.Conv2d:
    """The same convolution of latents, which reads as many channels more, and begins by not minding them."""
    wide = nn.Conv2d(2 * LATENT_CHANNELS, conv.out_channels, 3, padding=1).to(conv.weight)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([conv.weight, torch.zeros_like(conv.weight)], dim=1))
        wide.bias.copy_(conv.bias)  # type: ignore[union-attr, arg-type]
    return wide


def _zero(inputs: int, outputs: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _light(unet: Unet, config: ControlConfig) -> Unet:
    """A narrower UNet, of which the encoder is used, with random weights."""
    from diffusers import UNet2DConditionModel

    theirs = unet.config
    levels = len(theirs["block_out_channels"])
    if len(config.multipliers) != levels:
        raise SettingError(
            f"Expected a control branch of {levels} levels as the denoiser has, got the multipliers "
            f"{config.multipliers}; give as many."
        )
    channels = tuple(config.channels * multiplier for multiplier in config.multipliers)
    same = ("down_block_types", "up_block_types", "layers_per_block", "cross_attention_dim", "norm_num_groups")
    return UNet2DConditionModel(
        block_out_channels=channels,
        attention_head_dim=tuple(max(width // _HEAD, 1) for width in channels),  # diffusers' name for their number
        use_linear_projection=True,
        **{name: theirs[name] for name in same},
    )
