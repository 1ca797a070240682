"""Large frames as the published DiffVSR takes them: tiles with a rim, restored on their own, the rim cut off."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import SCALE
from ..restorer import PromptedFrame, Shot
from ..tiles import Check
from ..windows import Window
from .diffusion_config import DIFFVSR_CONTEXT


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
        tiles: where they are.
        size: height and width of a frame.
    """

    def __init__(self, shots: Sequence[Shot], tiles: Sequence[Tile], size: tuple[int, int]) -> None:
        self._shots, self._tiles, self._size = shots, tiles, size

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """See ``Shot.restore``. Peak memory: the window's results, beside one tile."""
        whole = torch.empty(window.kept, 3, *(SCALE * side for side in self._size))
        for shot, tile in zip(self._shots, self._tiles, strict=True):
            items = tuple(replace(item, image=item.image[:, tile.rows, tile.columns]) for item in window.items)
            rows, columns = (_enlarged(span, 0) for span in (tile.kept_rows, tile.kept_columns))
            inner = _enlarged(tile.kept_rows, tile.rows.start), _enlarged(tile.kept_columns, tile.columns.start)
            for index, image in enumerate(shot.restore(replace(window, items=items), check)):
                whole[index, :, rows, columns] = image[:, inner[0], inner[1]]
        yield from whole

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``."""
        return {f"{i}.{key}": value for i, shot in enumerate(self._shots) for key, value in shot.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""
        for i, shot in enumerate(self._shots):
            prefix = f"{i}."
            shot.load_state({k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)})


def _enlarged(span: slice, origin: int) -> slice:
    return slice(SCALE * (span.start - origin), SCALE * (span.stop - origin))
