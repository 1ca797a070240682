"""Blur kernels of the second-order degradation (Wang et al., Real-ESRGAN, 2021, section 3.2).

Every kernel is (size,size), non-negative except sinc, and sums to 1.
"""

import math

import torch
from torch import Tensor

from ..errors import SettingError

KINDS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso")


def gaussian_family(kind: str, size: int, sigma: tuple[float, float], angle: float = 0.0, beta: float = 1.0) -> Tensor:
    """Gaussian, generalised Gaussian exp(-q^beta/2) or plateau 1/(1+q^beta), with q = x' S^-1 x.

    Args:
        kind: one of ``KINDS``; an ``iso`` kind uses the first sigma for both axes.
        size: odd side in pixels.
        sigma: standard deviations along the two axes, in pixels.
        angle: rotation of the axes in radians.
        beta: the shape exponent; 1 is the Gaussian itself.

    Raises:
        SettingError: an unknown kind.
    """
    if kind not in KINDS:
        raise SettingError(f"Expected a blur kind among {', '.join(KINDS)}, got {kind!r}.")
    sigma_x, sigma_y = (sigma[0], sigma[0]) if kind.endswith("_iso") or kind == "iso" else sigma
    x, y = _grid(size)
    u = x * math.cos(angle) + y * math.sin(angle)
    v = -x * math.sin(angle) + y * math.cos(angle)
    q = (u / sigma_x) ** 2 + (v / sigma_y) ** 2
    if kind.startswith("plateau"):
        kernel = 1.0 / (1.0 + q**beta)
    elif kind.startswith("generalized"):
        kernel = torch.exp(-0.5 * q**beta)
    else:
        kernel = torch.exp(-0.5 * q)
    return (kernel / kernel.sum()).float()


def sinc(size: int, cutoff: float) -> Tensor:
    """Circular low-pass with a sharp edge: it rings, as sharpening and compression do.

    Args:
        size: odd side in pixels.
        cutoff: radians a pixel, 0 to pi.
    """
    x, y = _grid(size)
    radius = torch.sqrt(x**2 + y**2)
    centre = size // 2
    radius[centre, centre] = 1.0
    kernel = cutoff * torch.special.bessel_j1(cutoff * radius) / (2.0 * math.pi * radius)
    kernel[centre, centre] = cutoff**2 / (4.0 * math.pi)
    return (kernel / kernel.sum()).float()


def _grid(size: int) -> tuple[Tensor, Tensor]:
    if size % 2 == 0:
        raise SettingError(f"Expected an odd kernel size, got {size}.")
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y
