"""Helpers for analogue degradations: luma and chroma, filters along lines, shifts by parts of a pixel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_KR, _KB = 0.299, 0.114
_KG = 1.0 - _KR - _KB


def to_ycc(clip: Tensor) -> Tensor:
    """(T,3,H,W) R'G'B' to Y, B-Y and R-Y of BT.601: Y in [0,1], the other two in [-.5,.5]."""
    r, g, b = clip.unbind(1)
    y = _KR * r + _KG * g + _KB * b
    return torch.stack((y, (b - y) / (2 - 2 * _KB), (r - y) / (2 - 2 * _KR)), 1)


def to_rgb(ycc: Tensor) -> Tensor:
    """The inverse of ``to_ycc``, not clamped."""
    y, u, v = ycc.unbind(1)
    r, b = y + (2 - 2 * _KR) * v, y + (2 - 2 * _KB) * u
    return torch.stack((r, (y - _KR * r - _KB * b) / _KG, b), 1)


def gaussian(sigma: float) -> Tensor:
    """A Gaussian with this sigma in samples, cut off at three sigmas; sums to 1."""
    radius = max(math.ceil(3 * sigma), 1)
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (axis / max(sigma, 1e-3)) ** 2)
    return (kernel / kernel.sum()).float()


def smooth(clip: Tensor, across: float, down: float = 0.0) -> Tensor:
    """Gaussian low-pass by sigmas in pixels, along the lines and across them; edges are repeated."""
    for sigma, vertical in ((across, False), (down, True)):
        if sigma > 0:
            clip = _filter(clip, gaussian(sigma), vertical)
    return clip


def correlated(noise: Tensor, across: float, down: float = 0.0) -> Tensor:
    """White noise (T,C,H,W) of variance 1, low-passed, of variance 1 again away from the edges."""
    for sigma, vertical in ((across, False), (down, True)):
        if sigma > 0:
            kernel = gaussian(sigma)
            noise = _filter(noise, kernel / kernel.square().sum().sqrt(), vertical, "circular")
    return noise


def shift(clip: Tensor, dx: Tensor | float, dy: Tensor | float = 0.0) -> Tensor:
    """Move a picture by parts of a pixel: the result at (x, y) is the picture at (x - dx, y - dy), bilinear.

    Convention: x to the right, y down, in pixels, centres at integers; the border is repeated.

    Args:
        clip: (T,C,H,W).
        dx: one number, or a tensor that broadcasts to (T,H,W).
        dy: the same.
    """
    t, _, h, w = clip.shape
    y, x = torch.meshgrid(torch.arange(h, device=clip.device), torch.arange(w, device=clip.device), indexing="ij")
    at_x = (x - dx).to(clip).expand(t, h, w)
    at_y = (y - dy).to(clip).expand(t, h, w)
    grid = torch.stack((at_x * (2 / max(w - 1, 1)) - 1, at_y * (2 / max(h - 1, 1)) - 1), -1)
    return F.grid_sample(clip, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _filter(clip: Tensor, kernel: Tensor, vertical: bool, border: str = "replicate") -> Tensor:
    c, length = clip.shape[1], clip.shape[-2 if vertical else -1]
    radius = len(kernel) // 2
    if radius >= length:  # a border cannot be wider than the picture
        inner = kernel[radius - length + 1 : radius + length]
        kernel, radius = inner * (kernel.sum() / inner.sum()), length - 1
    pads = (0, 0, radius, radius) if vertical else (radius, radius, 0, 0)
    shape = (1, 1, -1, 1) if vertical else (1, 1, 1, -1)
    weight = kernel.to(clip).reshape(shape).expand(c, -1, -1, -1)
    return F.conv2d(F.pad(clip, pads, mode=border), weight, groups=c)
