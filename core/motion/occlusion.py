"""Which pixels of a frame are not seen in another one: those whose way there and back does not return."""

import torch
from torch import Tensor

from ...models.warp import warp

_SHARE, _LEAST = 0.01, 0.5


def occlusion(there: Tensor, back: Tensor) -> Tensor:
    """Mark the pixels that are hidden in, or have left, the frame that ``there`` points into.

    A pixel is occluded where |there + warp(back, there)| > .01 (|there| + |back|) + .5, with Euclidean norms in pixels
    of the grid: the check of MGLD-VSR (ECCV 2024), ``specs/mgld.md`` section 2. Out of the frame ``back`` reads 0, so
    that what leaves it by more than about half a pixel is occluded too.

    Args:
        there: (B,2,h,w), flow(i -> j) on frame i's grid.
        back: (B,2,h,w), flow(j -> i) on frame j's grid.

    Returns:
        (B,1,h,w) on frame i's grid: 1 where occluded, else 0.

    Raises:
        ShapeError: the two sizes differ.
    """
    gap = _length(there + warp(back, there))
    return (gap > _SHARE * (_length(there) + _length(back)) + _LEAST).to(there.dtype)


def _length(flow: Tensor) -> Tensor:
    return torch.linalg.vector_norm(flow, dim=1, keepdim=True)
