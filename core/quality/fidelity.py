"""Fidelity to a reference: PSNR and SSIM of the luma."""

import math

import torch
from torch import Tensor

from ..errors import ShapeError

_WINDOW, _SIGMA = 11, 1.5


def luma(x: Tensor) -> Tensor:
    """BT.601 luma of (...,3,H,W) RGB in [0,1], in studio range [16,235]/255 as super-resolution papers use it."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=x.dtype, device=x.device) / 255.0
    return (x * weights.view(3, 1, 1)).sum(dim=-3) + 16.0 / 255.0


def psnr_y(x: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio of the luma in dB; (...,3,H,W) in [0,1]; infinite when equal.

    Raises:
        ShapeError: the shapes differ.
    """
    _check(x, reference)
    error = float(((luma(x.double()) - luma(reference.double())) ** 2).mean())
    return math.inf if error == 0 else -10.0 * math.log10(error)


def ssim_y(x: Tensor, reference: Tensor) -> float:
    """Structural similarity of the luma (Wang et al., 2004): Gaussian window of 11, sigma 1.5, valid region, mean.

    Args:
        x: (T,3,H,W) in [0,1], H and W at least 11.
        reference: the same shape.

    Raises:
        ShapeError: the shapes differ.
    """
    _check(x, reference)
    a, b = luma(x.double()), luma(reference.double())
    mu_a, mu_b = _local_mean(a), _local_mean(b)
    var_a, var_b, cov = _local_mean(a * a) - mu_a**2, _local_mean(b * b) - mu_b**2, _local_mean(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    scores = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    return float(scores.mean())


def _local_mean(y: Tensor) -> Tensor:
    """Under a Gaussian window, (...,H,W) -> (...,H-10,W-10). In double precision torch has no quick convolution."""
    taps = [math.exp(-((tap - _WINDOW // 2) ** 2) / (2 * _SIGMA**2)) for tap in range(_WINDOW)]
    for dim in (-1, -2):
        length = y.shape[dim] - _WINDOW + 1
        total = torch.zeros_like(y.narrow(dim, 0, length))
        for place, tap in enumerate(taps):
            total.add_(y.narrow(dim, place, length), alpha=tap / sum(taps))
        y = total
    return y


def _check(x: Tensor, reference: Tensor) -> None:
    if x.shape != reference.shape:
        raise ShapeError(f"Expected two clips of one size, got {tuple(x.shape)} and {tuple(reference.shape)}.")
