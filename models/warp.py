"""Backward warping and the resizing of optical flow."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.errors import ShapeError

_AT_ONCE = 1 << 25
"""Numbers in half precision that are made single ones at the same time."""

_ZEROS_ONLY = ("mps",)
"""Devices whose sampling knows no border, before PyTorch 2.13."""


def warp(x: Tensor, flow: Tensor, padding: str = "zeros") -> Tensor:
    """Sample ``x`` where ``flow`` points (backward warping).

    Convention: ``flow[:, 0]`` is x (right), ``flow[:, 1]`` is y (down), in pixels of ``x``; pixel centres at integers;
    bilinear, ``align_corners=True``; outside the frame reads ``padding``.

    Args:
        x: (B,C,H,W), any range.
        flow: (B,2,H,W): output pixel p reads ``x`` at p + flow(p).
        padding: ``zeros`` or ``border``.

    Returns:
        (B,C,H,W), the dtype of ``x``.

    Raises:
        ShapeError: the two sizes differ.
    """
    if x.shape[-2:] != flow.shape[-2:]:
        raise ShapeError(
            f"Expected flow of size {tuple(x.shape[-2:])}, got {tuple(flow.shape[-2:])}; resize it with resize_flow()."
        )
    height, width = x.shape[-2:]
    # Half precision cannot say where in a wide frame to read.
    dtype = torch.promote_types(x.dtype, torch.float32)
    rows = torch.arange(height, device=x.device, dtype=dtype).view(1, height, 1)
    columns = torch.arange(width, device=x.device, dtype=dtype).view(1, 1, width)
    grid = torch.stack(
        (
            2.0 * (columns + flow[:, 0]) / max(width - 1, 1) - 1.0,
            2.0 * (rows + flow[:, 1]) / max(height - 1, 1) - 1.0,
        ),
        dim=-1,
    )  # (B,2,H,W) -> (B,H,W,2)
    if x.dtype == dtype:
        return _sample(x, grid.to(dtype), padding)
    sampled = torch.empty_like(x, memory_format=torch.channels_last)  # as the convolution that follows wants it
    channels = max(_AT_ONCE // (x.numel() // x.shape[1]), 1)
    for first in range(0, x.shape[1], channels):
        group = slice(first, first + channels)
        sampled[:, group] = _sample(x[:, group].to(dtype), grid.to(dtype), padding)
    return sampled


def _sample(x: Tensor, grid: Tensor, padding: str) -> Tensor:
    if padding == "border" and x.device.type in _ZEROS_ONLY:
        grid, padding = grid.clamp(-1, 1), "zeros"  # the same, since the outermost pixels' centres are at -1 and 1
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=True)


def resize_flow(flow: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Resize a flow field (B,2,H,W) to ``size`` (height, width), its vectors scaled along."""
    height, width = flow.shape[-2:]
    resized = F.interpolate(flow, size=size, mode="bilinear", align_corners=align_corners)
    factors = flow.new_full((1, 2, 1, 1), size[1] / width)  # on the device from the beginning: nothing waits
    factors[:, 1] = size[0] / height
    return resized * factors
