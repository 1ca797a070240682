"""Running a convolutional function tile by tile, with the result of running it whole."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import torch
from torch import Tensor

from .errors import SettingError

Check = Callable[[], None]
"""Called between pieces of work; raises to cancel."""


@dataclass(frozen=True)
class Tiles:
    """How a frame is cut.

    Attributes:
        side: of a tile in pixels of the input, without the halo; 0 is the whole frame.
        halo: pixels of the input read around a tile.
        at_once: the most tiles that are computed as one batch.
        scale: how much larger the result is.
    """

    side: int
    halo: int
    at_once: int = 1
    scale: int = 1

    def __post_init__(self) -> None:
        if self.side < 0:
            raise SettingError(f"Expected a tile of at least 0 pixels (0 is the whole frame), got {self.side}.")

    def count(self, height: int, width: int) -> int:
        """How many tiles a frame is cut into."""
        return len(self.lines(height)) * len(self.lines(width)) if 0 < self.side < max(height, width) else 1

    def pixels(self, height: int, width: int) -> int:
        """The most pixels of the input that are read for a tile."""
        if self.count(height, width) == 1:
            return height * width
        return max(lines.length for lines in self.lines(height)) * max(lines.length for lines in self.lines(width))

    def lines(self, length: int) -> "list[_Lines]":
        """The tiles along one side of the frame, of nearly equal lengths, so that no sliver is left at the end.

        Those at the frame's border read equally many lines, and so do those between them: then they make a batch.
        """
        spans = list(_spans(length, self.side))
        widest = max(stop - start for start, stop in spans)
        found = []
        for index, (start, stop) in enumerate(spans):
            inner_ends = (index > 0) + (index + 1 < len(spans))
            read = min(widest + inner_ends * self.halo, length)
            first = min(max(start - self.halo, 0), length - read)
            kept, inner = (slice(self.scale * (start - x), self.scale * (stop - x)) for x in (0, first))
            found.append(_Lines(slice(first, first + read), kept, inner))
        return found


@dataclass(frozen=True)
class _Lines:
    """Rows or columns of a tile: those read, where its own go in the result, and where they are in what is computed."""

    read: slice
    kept: slice
    inner: slice

    @property
    def length(self) -> int:
        """How many are read."""
        return int(self.read.stop - self.read.start)


def apply_tiled(
    function: Callable[..., Tensor], x: Tensor | Sequence[Tensor], tiles: Tiles, check: Check = lambda: None
) -> Tensor:
    """Apply ``function`` to overlapping tiles and put their centres together.

    With a halo of at least the function's receptive radius the result is that of the whole frame (up to rounding): at
    the frame's own border a tile is padded by the function exactly as the frame would be, elsewhere the padded rim is
    thrown away. Peak memory beside input and output is that of the tiles computed at once.

    Args:
        function: (B,C,h,w) -> (B,C',scale*h,scale*w), translation-equivariant; takes as many inputs as ``x`` are.
        x: (B,C,H,W), or several of one size.
        tiles: how to cut it.
        check: called before every batch of tiles.

    Returns:
        (B,C',scale*H,scale*W).
    """
    inputs = (x,) if isinstance(x, Tensor) else x
    height, width = inputs[0].shape[-2:]
    if tiles.count(height, width) == 1:
        check()
        return function(*inputs)
    result: Tensor | None = None
    for group in _batches(tiles.lines(height), tiles.lines(width), tiles.at_once):
        check()
        computed = function(*(_stacked(each, group) for each in inputs))
        for (rows, columns), piece in zip(group, computed.chunk(len(group)), strict=True):
            if result is None:
                shape = (*piece.shape[:2], tiles.scale * height, tiles.scale * width)
                result = torch.empty(shape, dtype=piece.dtype, device=piece.device)
            result[..., rows.kept, columns.kept] = piece[..., rows.inner, columns.inner]
    assert result is not None
    return result


def _batches(rows: list[_Lines], columns: list[_Lines], most: int) -> Iterator[list[tuple[_Lines, _Lines]]]:
    """Tiles of equally many rows and columns, at most so many at once."""
    for _, alike in groupby(sorted(product(rows, columns), key=_size), key=_size):
        places = list(alike)
        yield from (places[begin:end] for begin, end in _spans(len(places), most))


def _size(place: tuple[_Lines, _Lines]) -> tuple[int, int]:
    return place[0].length, place[1].length


def _stacked(x: Tensor, places: Sequence[tuple[_Lines, _Lines]]) -> Tensor:
    """Equally large pieces of (B,C,H,W) one after the other, (n*B,C,h,w)."""
    pieces = [x[..., rows.read, columns.read] for rows, columns in places]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _spans(length: int, most: int) -> Iterator[tuple[int, int]]:
    """Nearly equal spans of at most ``most``."""
    count = -(-length // most)
    for i in range(count):
        yield i * length // count, (i + 1) * length // count
