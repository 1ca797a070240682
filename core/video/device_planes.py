"""A picture that is on a graphics card becomes samples there: a few bytes a pixel come back, not three floats.

The same arithmetic in the same order as ``planes.ChromaWriter`` on a CPU, for the whole picture at once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .planes import DECIMATE_CENTRED, DECIMATE_COSITED, REACH, PixelLayout

MOST_BITS = 15
"""Of a sample: what a signed number of 16 bits holds."""

_ROWS, _COLUMNS = 1, 2


def device_planes(
    image: Tensor, layout: PixelLayout, matrix: NDArray[np.floating[Any]], offsets: tuple[float, float]
) -> list[Tensor]:
    """Y, U and V of a picture, rounded to nearest.

    Args:
        image: (3,H,W) RGB, any float type; values are clamped to [0,1].
        layout: subsampling and depth, at most ``MOST_BITS``.
        matrix: (3,3), from RGB to code values less the offset.
        offsets: code values of black, and of no colour.

    Returns:
        Three tensors (h,w) where the picture is, uint8 or int16.
    """
    rgb = image.detach().float().clamp(0, 1)
    weights = matrix.tolist()
    luma, *chroma = (torch.mul(rgb[0], a).add_(rgb[1], alpha=b).add_(rgb[2], alpha=c) for a, b, c in weights)
    both = torch.stack(chroma)
    for _ in range(layout.shift_x):
        both = _halved(both, _COLUMNS, DECIMATE_COSITED)
    for _ in range(layout.shift_y):
        both = _halved(both, _ROWS, DECIMATE_CENTRED)
    return [_codes(luma, offsets[0], layout.bits), *(_codes(plane, offsets[1], layout.bits) for plane in both)]


def _halved(x: Tensor, dim: int, taps: Sequence[float]) -> Tensor:
    """Decimate (2,h,w) along ``dim`` to half as many lines, rounded up."""
    length = x.shape[dim]
    index = torch.arange(-REACH[0], length + REACH[1] + length % 2, device=x.device).clamp_(0, length - 1)
    lines = x.index_select(dim, index)
    wanted = (length + 1) // 2
    result: Tensor | None = None
    for start in (0, 1):  # even lines first, as on a CPU: the order of a sum decides its last bit
        for k, weight in enumerate(taps[start::2]):
            part = lines.narrow(dim, 2 * k + start, 2 * wanted - 1)
            part = part[:, ::2] if dim == _ROWS else part[:, :, ::2]
            if result is None:
                result = part * weight
            elif weight:
                result.add_(part, alpha=weight)
    assert result is not None
    return result


def _codes(values: Tensor, offset: float, bits: int) -> Tensor:
    return values.add(offset + 0.5).clamp_(0, 2**bits - 1).to(torch.uint8 if bits <= 8 else torch.int16)
