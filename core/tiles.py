"""Running a convolutional function tile by tile, with the result of running it whole."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .errors import SettingError

Check = Callable[[], None]
"""Called between pieces of work; raises to cancel."""


def apply_tiled(
    function: Callable[[Tensor], Tensor], x: Tensor, tile: int, halo: int, check: Check, scale: int = 1
) -> Tensor:
    """Apply ``function`` to overlapping tiles and put their centres together.

    With a halo of at least the function's receptive radius the result is that of the whole frame (up to rounding): at
    the frame's own border a tile is padded by the function exactly as the frame would be, elsewhere the padded rim is
    thrown away. Peak memory beside input and output is that of one tile.

    Args:
        function: (B,C,h,w) -> (B,C',scale*h,scale*w), translation-equivariant.
        x: (B,C,H,W).
        tile: side of a tile in pixels of ``x``, without the halo; 0 is the whole frame.
        halo: pixels of ``x`` read around a tile.
        check: called before every tile.
        scale: how much larger the result is.

    Returns:
        (B,C',scale*H,scale*W).

    Raises:
        SettingError: a negative tile.
    """
    if tile < 0:
        raise SettingError(f"Expected a tile of at least 0 pixels (0 is the whole frame), got {tile}.")
    height, width = x.shape[-2:]
    if tile == 0 or tile >= max(height, width):
        check()
        return function(x)
    result: Tensor | None = None
    for top, bottom in _spans(height, tile):
        for left, right in _spans(width, tile):
            check()
            y0, x0 = max(top - halo, 0), max(left - halo, 0)
            piece = function(x[..., y0 : bottom + halo, x0 : right + halo])
            if result is None:
                shape = (*piece.shape[:2], scale * height, scale * width)
                result = torch.empty(shape, dtype=piece.dtype, device=piece.device)
            inner_y = slice(scale * (top - y0), scale * (bottom - y0))
            inner_x = slice(scale * (left - x0), scale * (right - x0))
            result[..., scale * top : scale * bottom, scale * left : scale * right] = piece[..., inner_y, inner_x]
    assert result is not None
    return result


def _spans(length: int, tile: int) -> Iterator[tuple[int, int]]:
    """Nearly equal spans of at most ``tile``, so that no sliver is left at the end."""
    count = -(-length // tile)
    for i in range(count):
        yield i * length // count, (i + 1) * length // count
