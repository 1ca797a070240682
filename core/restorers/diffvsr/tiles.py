"""Large frames as the published DiffVSR takes them: tiles with a rim, restored on their own, the rim cut off."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...config import SCALE
from ...restorer import PromptedFrame, Shot
from ...tiles import Check
from ...windows import Window
from .config import DIFFVSR_CONTEXT


@dataclass(frozen=True)
class Tile:
    """Of a frame: ``rows`` and ``columns`` that are restored, and of the frame those that are kept of them."""

    rows: slice
    columns: slice
    kept_rows: slice
    kept_columns: slice

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is restored."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def published_tiles(size: tuple[int, int], side: int) -> list[Tile]:
    """Tiles of ``side`` pixels with 64 around them; a last one that the rim of the one before reaches is left out."""
    rows, columns = (_spans(length, side) for length in size)
    return [
        Tile(outer_rows, outer_columns, kept_rows, kept_columns)
        for outer_rows, kept_rows in rows
        for outer_columns, kept_columns in columns
    ]


def _spans(length: int, side: int) -> list[tuple[slice, slice]]:
    count = -(-length // side)
    if count > 1 and (count - 1) * side + DIFFVSR_CONTEXT >= length:
        count -= 1
    ends = [*(side * (i + 1) for i in range(count - 1)), length]
    return [
        (slice(max(side * i - DIFFVSR_CONTEXT, 0), min(end + DIFFVSR_CONTEXT, length)), slice(side * i, end))
        for i, end in enumerate(ends)
    ]


class CutShot:
    """A shot whose tiles are shots of their own.

    Args:
        shots: of the tiles.
        side: of the tiles; ``shots`` are in the order of ``published_tiles``.
        size: height and width of a frame.
    """

    def __init__(self, shots: Sequence[Shot], side: int, size: tuple[int, int]) -> None:
        self._shots, self._side, self._size = shots, side, size
        self._tiles = published_tiles(size, side)

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """See ``Shot.restore``. Peak memory: the window's results, beside one tile."""
        whole = torch.empty(window.kept, 3, *(SCALE * side for side in self._size))
        for shot, tile in zip(self._shots, self._tiles, strict=True):
            items = tuple(replace(item, image=item.image[:, tile.rows, tile.columns]) for item in window.items)
            rows, columns = (_enlarged(span) for span in (tile.kept_rows, tile.kept_columns))
            inner_rows = _enlarged(_within(tile.kept_rows, tile.rows))
            inner_columns = _enlarged(_within(tile.kept_columns, tile.columns))
            for index, image in enumerate(shot.restore(replace(window, items=items), check)):
                whole[index, :, rows, columns] = image[:, inner_rows, inner_columns]
        yield from whole

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``."""
        return {
            f"{self._side}.{i}.{key}": value
            for i, shot in enumerate(self._shots)
            for key, value in shot.state().items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``; the state may be that of a shot with other tiles, or with none."""
        parts = _of_tiles(state, self._side)
        if state and not parts:
            whole = _joined(state, self._size)
            parts = {
                i: {k: value[..., t.rows, t.columns] for k, value in whole.items()} for i, t in enumerate(self._tiles)
            }
        for i, shot in enumerate(self._shots):
            shot.load_state(parts.get(i, {}))


def _joined(state: Mapping[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
    """The state of a shot with tiles as that of one without: what is kept of each tile, side by side."""
    plain = {key: value for key, value in state.items() if "." not in key}
    for side in {int(key.split(".")[0]) for key in state.keys() - plain.keys()}:
        tiles = published_tiles(size, side)
        for i, part in _of_tiles(state, side).items():
            tile = tiles[i]
            rows, columns = _within(tile.kept_rows, tile.rows), _within(tile.kept_columns, tile.columns)
            for key, value in part.items():
                whole = plain.setdefault(key, value.new_zeros(*value.shape[:-2], *size))
                whole[..., tile.kept_rows, tile.kept_columns] = value[..., rows, columns]
    return plain


def _of_tiles(state: Mapping[str, Tensor], side: int) -> dict[int, dict[str, Tensor]]:
    """The states of the tiles of this side by their number."""
    parts: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        if key.startswith(f"{side}."):
            _, number, name = key.split(".")
            parts.setdefault(int(number), {})[name] = value
    return parts


def _within(span: slice, outer: slice) -> slice:
    return slice(span.start - outer.start, span.stop - outer.start)


def _enlarged(span: slice) -> slice:
    return slice(SCALE * span.start, SCALE * span.stop)
