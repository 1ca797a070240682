"""Bringing the colours of a restored frame back to those of its source."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import ColorFix

_LEVELS = 5
"""Levels of the wavelet; details up to about 2^5 pixels are kept from the restored frame."""


def fix_color(restored: Tensor, source: Tensor, method: ColorFix) -> Tensor:
    """Apply a colour fix.

    Args:
        restored: (3,sH,sW), RGB in [0,1], any float type and device.
        source: (3,H,W), the frame it was made from.
        method: ``none``; ``adain`` matches mean and deviation of each channel; ``wavelet`` takes the low frequencies
            of the source and the high ones of the restored frame.

    Returns:
        (3,sH,sW).
    """
    if method == "none":
        return restored
    restored = restored.float()
    target = F.interpolate(source[None].to(restored.device), size=restored.shape[-2:], mode="bicubic", antialias=False)[
        0
    ]
    if method == "adain":
        return _adain(restored, target)
    return restored + _low_pass(target - restored)


def _adain(x: Tensor, y: Tensor) -> Tensor:
    """Give ``x`` the channel means and deviations of ``y`` (Huang and Belongie, ICCV 2017, eq. 8)."""
    mean_x, mean_y = x.mean(dim=(1, 2), keepdim=True), y.mean(dim=(1, 2), keepdim=True)
    std_x, std_y = x.std(dim=(1, 2), keepdim=True), y.std(dim=(1, 2), keepdim=True)
    return (x - mean_x) * (std_y / std_x.clamp_min(1e-5)) + mean_y


def _low_pass(x: Tensor) -> Tensor:
    """The coarsest level of an undecimated wavelet: [1 2 1]/4 with holes that double from level to level."""
    weights = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
    channels = x.shape[0]
    row = weights.view(1, 1, 1, 3).expand(channels, 1, 1, 3)
    column = row.transpose(2, 3)
    x = x[None]
    for level in range(_LEVELS):
        step = 2**level
        x = F.conv2d(F.pad(x, (step, step, 0, 0), mode="replicate"), row, dilation=step, groups=channels)
        x = F.conv2d(F.pad(x, (0, 0, step, step), mode="replicate"), column, dilation=step, groups=channels)
    return x[0]
