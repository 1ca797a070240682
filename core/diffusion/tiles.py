"""A canvas larger than a network takes: overlapping tiles, weighted so that none shows, averaged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SettingError
from ..overlaps import overlapping_windows

_VARIANCE = 0.01
"""Of the Gaussian over a tile, in squared sides of the tile."""


@dataclass(frozen=True)
class Tiling:
    """How a canvas is cut.

    Attributes:
        tile: side of a tile; a smaller canvas is one tile of its own size.
        overlap: what neighbouring tiles share, at least; the last one is moved back to end with the canvas.
        published: weights as in MGLD-VSR's code, whose Gaussian is half a pixel below the middle.

    Raises:
        SettingError: the overlap is not shorter than the tile.
    """

    tile: int = 64
    overlap: int = 32
    published: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.tile:
            raise SettingError(
                f"Expected an overlap of 0 to {self.tile - 1} for tiles of {self.tile}, got {self.overlap}."
            )

    def places(self, height: int, width: int) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of the tiles, row by row; together they cover the canvas."""
        for rows in overlapping_windows(height, self.tile, self.overlap):
            for columns in overlapping_windows(width, self.tile, self.overlap):
                yield slice(rows.start, rows.stop), slice(columns.start, columns.stop)


def gaussian_weights(height: int, width: int, published: bool = False) -> Tensor:
    """Weights of a tile's pixels, (height,width) float32: a Gaussian of variance 0.01 in sides, for either axis.

    Args:
        height: of the tile.
        width: of the tile.
        published: centre the rows at height / 2 as MGLD-VSR's code does, instead of at (height - 1) / 2.
    """
    rows = _gaussian(height, height / 2 if published else (height - 1) / 2)
    return rows[:, None] * _gaussian(width, (width - 1) / 2)


def average_tiles(function: Callable[[slice, slice], Tensor], size: tuple[int, int], tiling: Tiling) -> Tensor:
    """Make a canvas from its tiles: sum(w * tile) / sum(w).

    Peak memory beside the result, in float32 at least, is that of one tile.

    Args:
        function: given rows and columns, makes that part, (...,h,w).
        size: height and width of the canvas.
        tiling: how it is cut.

    Returns:
        (...,*size), the dtype of the parts.
    """
    total: Tensor | None = None
    count = torch.zeros(size)
    for rows, columns in tiling.places(*size):
        part = function(rows, columns)
        height, width = part.shape[-2:]
        weights = gaussian_weights(height, width, tiling.published).to(part.device)
        if total is None:
            dtype = torch.promote_types(part.dtype, torch.float32)
            total = torch.zeros(*part.shape[:-2], *size, dtype=dtype, device=part.device)
            count = count.to(part.device)
        total[..., rows, columns] += weights * part
        count[rows, columns] += weights
    assert total is not None
    return (total / count).to(part.dtype)


def _gaussian(length: int, middle: float) -> Tensor:
    distance = (torch.arange(length, dtype=torch.float64) - middle) / length
    return torch.exp(-(distance**2) / (2 * _VARIANCE)).float()
