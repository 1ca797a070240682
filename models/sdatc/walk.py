"""Stable Diffusion's UNet, walked block by block: diffusers' own blocks, with room for ours between them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Unet = Any
"""diffusers' ``UNet2DConditionModel``, whose parts mypy cannot see."""

Run = Callable[..., Any]
"""Calls its first argument with the others."""


def plainly(function: Callable[..., Any], *inputs: Any) -> Any:
    """A ``Run`` that keeps what the gradient needs."""
    return function(*inputs)


def frugally(function: Callable[..., Any], *inputs: Any) -> Any:
    """A ``Run`` that computes again what the gradient needs: less memory, a third more work."""
    return checkpoint(function, *inputs, use_reentrant=False) if torch.is_grad_enabled() else function(*inputs)


def embed_time(net: Unet, timestep: Tensor, like: Tensor) -> Tensor:
    """What the blocks read of timesteps (N,), in the dtype of ``like``, by ``net.time_proj`` and ``time_embedding``."""
    return net.time_embedding(net.time_proj(timestep).to(like.dtype))


def down(net: Unet, x: Tensor, time: Tensor, text: Tensor, run: Run = plainly) -> tuple[Tensor, list[Tensor]]:
    """The encoder and the middle of ``net``, which has a UNet's ``conv_in``, ``down_blocks`` and ``mid_block``.

    Args:
        net: the UNet, or what has these.
        x: (N,C,h,w).
        time: see ``embed_time``.
        text: (N,K,D).
        run: plainly or frugally.

    Returns:
        The middle's result, and one tensor of each layer of the encoder.
    """
    x = net.conv_in(x)
    skips = [x]
    for block in net.down_blocks:
        x, found = run(block, x, time, text) if _attends(block) else run(block, x, time)
        skips += found
    return run(net.mid_block, x, time, text), skips


def up(block: Any, x: Tensor, skips: list[Tensor], time: Tensor, text: Tensor) -> Tensor:
    """A block of the decoder up to where it is made larger; ``skips`` are as many as its layers, the last one first."""
    for index, (resnet, skip) in enumerate(zip(block.resnets, reversed(skips), strict=True)):
        x = resnet(torch.cat([x, skip], dim=1), time)
        if _attends(block):
            x = block.attentions[index](x, encoder_hidden_states=text, return_dict=False)[0]
    return x


def enlarge(block: Any, x: Tensor) -> Tensor:
    """The end of a block of a decoder: twice the size, but for the last one."""
    for upsampler in block.upsamplers or ():
        x = upsampler(x)
    return x


def finish(unet: Unet, x: Tensor) -> Tensor:
    """The UNet's last layers."""
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))


def widths(net: Unet) -> list[int]:
    """Channels of what ``down`` returns: of each layer of the encoder in order; the middle has those of the last."""
    found = [net.conv_in.out_channels]
    for block in net.down_blocks:
        found += [resnet.out_channels for resnet in block.resnets]
        found += [downsampler.out_channels for downsampler in block.downsamplers or ()]
    return found


def _attends(block: Any) -> bool:
    return bool(getattr(block, "has_cross_attention", False))
