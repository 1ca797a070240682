"""NIQE: how far a picture's statistics are from those of natural pictures (Mittal, Soundararajan, Bovik, 2013).

Lower is better; no reference is needed. The parameters of the natural pictures ship.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from ...models.catalog import NIQE, find_shipped
from ..errors import ShapeError
from .fidelity import luma

BLOCK = 96
"""Side of the patches whose features are compared, in pixels of the full size."""

_WINDOW, _SIGMA = 7, 7 / 6
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_ROUNDING = 1e-6
_HALVING_REACH = 8
"""Pixels repeated around a picture before it is halved; the cubic kernel at half the size reaches 4."""


@dataclass(frozen=True)
class NaturalStatistics:
    """The multivariate Gaussian of natural pictures: ``mean`` (36,) and ``covariance`` (36,36), float64."""

    mean: Tensor
    covariance: Tensor


def read_natural_statistics(path: Path) -> NaturalStatistics:
    """Read an ``.npz`` with ``mu_pris_param`` and ``cov_pris_param``, the names its authors gave them."""
    with np.load(path) as arrays:
        mean = torch.from_numpy(arrays["mu_pris_param"].astype(np.float64)).flatten()
        covariance = torch.from_numpy(arrays["cov_pris_param"].astype(np.float64))
    return NaturalStatistics(mean, covariance)


def load_natural_statistics() -> NaturalStatistics:
    """The shipped ones.

    Raises:
        DamagedWeightsError: the file is not the one that was shipped.
    """
    return NaturalStatistics(**load_file(find_shipped(NIQE)))


def niqe(frame: Tensor, natural: NaturalStatistics, border: int = 0) -> float:
    """The score of one frame (section II of the paper), on its luma in 8 bits.

    Args:
        frame: (3,H,W) RGB in [0,1], at least two blocks of 96 pixels large inside the border.
        natural: what it is compared with.
        border: pixels left out on each side.

    Returns:
        About 3 for a good photograph, more the less natural it looks; NaN for a frame that is flat everywhere.

    Raises:
        ShapeError: there is no room for two blocks.
    """
    height, width = frame.shape[-2] - 2 * border, frame.shape[-1] - 2 * border
    rows, columns = height // BLOCK, width // BLOCK
    if rows * columns < 2:
        raise ShapeError(f"Expected a frame with two blocks of {BLOCK} pixels, got {width}x{height}; NIQE needs them.")
    grey = luma(frame.double()).mul(255).round()
    grey = grey[border : border + rows * BLOCK, border : border + columns * BLOCK]
    features = torch.cat([_features(grey, BLOCK), _features(halve(grey), BLOCK // 2)], dim=1)
    features = features[~features.isnan().any(dim=1)]
    if len(features) < 2:
        return float("nan")
    spread = (natural.covariance + torch.cov(features.T)) / 2
    offset = natural.mean - features.mean(dim=0)
    return float((offset @ torch.linalg.pinv(spread) @ offset).sqrt())


def _features(grey: Tensor, block: int) -> Tensor:
    """(H,W) in [0,255] -> (blocks,18): the shape and width of the pixels' and of their neighbours' products' spread."""
    blocks = _normalize(grey).unfold(0, block, block).unfold(1, block, block).reshape(-1, block, block)
    alpha, left, right, _ = fit_asymmetric(blocks)
    columns = [alpha, (left + right) / 2]
    for shift in _SHIFTS:
        alpha, left, right, mean = fit_asymmetric(blocks * blocks.roll(shift, dims=(1, 2)))
        columns += [alpha, mean, left, right]
    return torch.stack(columns, dim=1)


def _normalize(grey: Tensor) -> Tensor:
    """Each pixel less its neighbourhood's mean, over its deviation plus one (equations 1 to 3)."""
    axis = torch.arange(_WINDOW, dtype=grey.dtype, device=grey.device) - _WINDOW // 2
    window = torch.exp(-(axis**2) / (2 * _SIGMA**2))
    window = window / window.sum()

    def local_mean(x: Tensor) -> Tensor:
        padded = F.pad(x[None, None], (_WINDOW // 2,) * 4, mode="replicate")
        return F.conv2d(F.conv2d(padded, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))[0, 0]

    mean = local_mean(grey)
    deviation = (local_mean(grey * grey) - mean * mean).abs().sqrt()
    difference = grey - mean
    # In flat areas only rounding is left, whose sign would count.
    return torch.where(difference.abs() < _ROUNDING, 0.0, difference) / (deviation + 1)


def fit_asymmetric(blocks: Tensor, scaled: bool = True) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The asymmetric generalised Gaussian of each block by its moments (equations 8 to 10).

    Args:
        blocks: (blocks,H,W) or any (blocks,...).
        scaled: the widths are the distribution's beta as NIQE takes them; else its deviations, as BRISQUE does.

    Returns:
        Its shape, left and right width, and mean, (blocks,) each; NaN where a side is empty.
    """
    x = blocks.flatten(1)
    left = _root_mean_square(x, x < 0)
    right = _root_mean_square(x, x > 0)
    ratio = left / right
    moments = x.abs().mean(dim=1) ** 2 / (x * x).mean(dim=1)
    moments = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, expected = _shape_table(x.dtype, x.device)
    after = torch.searchsorted(expected, moments).clamp(1, len(shapes) - 1)
    nearer = moments - expected[after - 1] <= expected[after] - moments
    alpha = shapes[after - nearer.long()]
    scale = ((torch.lgamma(1 / alpha) - torch.lgamma(3 / alpha)) / 2).exp()
    mean = (right - left) * scale * (torch.lgamma(2 / alpha) - torch.lgamma(1 / alpha)).exp()
    return (alpha, left * scale, right * scale, mean) if scaled else (alpha, left, right, mean)


@lru_cache(maxsize=4)
def _shape_table(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Shapes, and the ratio of moments that each has, which rises with it (equation 10)."""
    shapes = torch.arange(0.2, 10.001, 0.001, dtype=dtype, device=device)
    return shapes, (2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes)).exp()


def _root_mean_square(x: Tensor, chosen: Tensor) -> Tensor:
    return ((x * x * chosen).sum(dim=1) / chosen.sum(dim=1)).sqrt()


def halve(grey: Tensor) -> Tensor:
    """(H,W) -> (H/2,W/2): antialiased bicubic (a = -0.5), the picture mirrored beyond its border."""
    reach = _HALVING_REACH
    rows = torch.cat([grey[:reach].flip(0), grey, grey[-reach:].flip(0)])
    padded = torch.cat([rows[:, :reach].flip(1), rows, rows[:, -reach:].flip(1)], dim=1)
    half = F.interpolate(padded[None, None], scale_factor=0.5, mode="bicubic", antialias=True)[0, 0]
    return half[reach // 2 : -reach // 2, reach // 2 : -reach // 2]
