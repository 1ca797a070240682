"""Blockiness of a picture, without a reference: steps at the grid of a codec's blocks.

After Wang, Sheikh and Bovik (ICIP 2002), who compare the differences across block edges with those elsewhere; here also
for blocks that were enlarged two and four times, as they are after upscaling.
"""

from torch import Tensor

from ..errors import ShapeError
from .fidelity import luma

_BLOCK = 8
_ENLARGED = (1, 2, 4)
_LEAST_BLOCKS = 4
_FLOOR = 0.05
"""Levels of 255 that are added to what a block holds: a flat picture with an invisible grid is not all grid."""


def blockiness(frame: Tensor) -> float:
    """By what share differences at the edges of 8x8 blocks exceed those within blocks; the mean of both directions.

    The grid begins in the upper left corner, as in all common codecs; a cropped picture hides it.

    Args:
        frame: (3,H,W) RGB in [0,1], both sides at least 32 pixels.

    Returns:
        Around 0 without blocks, 0.1 where an eye begins to see them, 1 where an edge steps twice as far as the rest.

    Raises:
        ShapeError: the frame is too small.
    """
    if min(frame.shape[-2:]) < _LEAST_BLOCKS * _BLOCK:
        raise ShapeError(f"Expected sides of {_LEAST_BLOCKS * _BLOCK} pixels or more, got {tuple(frame.shape[-2:])}.")
    y = luma(frame.float()) * 255
    across = y.diff(dim=1).abs().mean(0)  # (H,W) -> (W-1,)
    down = y.diff(dim=0).abs().mean(1)  # (H,W) -> (H-1,)
    return max(0.0, *((_excess(across, n) + _excess(down, n)) / 2 for n in _ENLARGED))


def _excess(steps: Tensor, enlarged: int) -> float:
    """At one size of blocks: a step between blocks is spread over as many pixels as it was enlarged."""
    period = _BLOCK * enlarged
    count = (len(steps) + 1) // period
    if count < _LEAST_BLOCKS:
        return 0.0
    # (blocks, period), the edge in the middle: between pixel period-1 of one block and 0 of the next.
    begin = period // 2 - 1
    around = steps[begin : begin + (count - 1) * period].reshape(count - 1, period).mean(0)
    first = (period - enlarged + 1) // 2
    edge = float(around[first : first + enlarged].mean())
    inside = float((around.sum() - around[first : first + enlarged].sum()) / (period - enlarged))
    return edge / (inside + _FLOOR) - inside / (inside + _FLOOR)
