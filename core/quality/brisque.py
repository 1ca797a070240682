"""BRISQUE: how far a picture is from those that people rated (Mittal, Moorthy, Bovik, IEEE TIP 2012).

Lower is better; no reference is needed. The support vectors ship: those of the authors' release.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from ...models.catalog import BRISQUE, find_shipped
from ..errors import ShapeError
from .niqe import fit_asymmetric, halve

LEAST_SIDE = 32
"""Pixels; below it the second scale has no statistics."""

_WINDOW, _SIGMA = 7, 7 / 6
_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))


@dataclass(frozen=True)
class Ratings:
    """The regression from 36 features to a score (an epsilon-SVR with a Gaussian kernel).

    Attributes:
        support_vectors: (774,36), scaled features.
        coefficients: (774,).
        low: (36,) features that are scaled to -1.
        high: (36,) features that are scaled to 1.
        gamma: () of the kernel.
        rho: () what is subtracted.
    """

    support_vectors: Tensor
    coefficients: Tensor
    low: Tensor
    high: Tensor
    gamma: Tensor
    rho: Tensor


def load_ratings() -> Ratings:
    """The shipped ones.

    Raises:
        DamagedWeightsError: the file is not the one that was shipped.
    """
    tensors = load_file(find_shipped(BRISQUE))
    return Ratings(**{field.name: tensors[field.name].double() for field in fields(Ratings)})


def brisque(frame: Tensor, ratings: Ratings) -> float:
    """The score of one frame, on its grey in 8 bits.

    Args:
        frame: (3,H,W) RGB in [0,1], both sides at least ``LEAST_SIDE``.
        ratings: what features are worth.

    Returns:
        About 0 (best) to 100 (worst); NaN for a frame without any texture.

    Raises:
        ShapeError: the frame is too small.
    """
    if min(frame.shape[-2:]) < LEAST_SIDE:
        raise ShapeError(f"Expected sides of {LEAST_SIDE} pixels or more, got {tuple(frame.shape[-2:])}.")
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64, device=frame.device)
    grey = (frame.double() * weights.view(3, 1, 1)).sum(0).mul(255).round()
    features = torch.cat([_features(grey), _features(halve(_even(grey)))]).cpu()
    scaled = -1 + 2 * (features - ratings.low) / (ratings.high - ratings.low)
    kernel = (-ratings.gamma * (ratings.support_vectors - scaled).square().sum(1)).exp()
    return float(kernel @ ratings.coefficients - ratings.rho)


def _even(grey: Tensor) -> Tensor:
    """Without the last row or column of an odd side, so that halving it is exact."""
    return grey[: grey.shape[0] // 2 * 2, : grey.shape[1] // 2 * 2]


def _features(grey: Tensor) -> Tensor:
    """(H,W) in [0,255] -> (18,): the spread of the normalized pixels and of their neighbours' products (table I)."""
    axis = torch.arange(_WINDOW, dtype=grey.dtype, device=grey.device) - _WINDOW // 2
    window = torch.exp(-(axis**2) / (2 * _SIGMA**2))
    window = window / window.sum()

    def local_mean(x: Tensor) -> Tensor:
        padded = F.pad(x[None, None], (_WINDOW // 2,) * 4)
        return F.conv2d(F.conv2d(padded, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))[0, 0]

    mean = local_mean(grey)
    normal = (grey - mean) / ((local_mean(grey * grey) - mean * mean).abs().sqrt() + 1)
    features = [*_fit_symmetric(normal)]
    for shift in _SHIFTS:
        alpha, left, right, centre = fit_asymmetric((normal * normal.roll(shift, dims=(0, 1)))[None], scaled=False)
        features += [alpha[0], centre[0], left[0] ** 2, right[0] ** 2]
    return torch.stack(features)


def _fit_symmetric(x: Tensor) -> tuple[Tensor, Tensor]:
    """Shape and variance of a generalised Gaussian, by its moments (Sharifi and Leon-Garcia, 1995)."""
    shapes = torch.arange(0.2, 10.001, 0.001, dtype=x.dtype, device=x.device)
    expected = (torch.lgamma(1 / shapes) + torch.lgamma(3 / shapes) - 2 * torch.lgamma(2 / shapes)).exp()
    variance = x.square().mean()
    ratio = variance / x.abs().mean() ** 2
    return shapes[(ratio - expected).abs().argmin()], variance
