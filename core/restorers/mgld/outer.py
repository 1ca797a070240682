"""Frames in tiles that are restored on their own, as MGLD-VSR's code does with large ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...config import SCALE
from ...diffusion.tiles import Tiling, gaussian_weights
from ...restorer import PromptedFrame, Shot
from ...tiles import Check
from ...windows import Window

_SHARED = 210 / 960
"""Of a tile with its neighbour, at least, as published but for what falls between two pixels of the input."""

Place = tuple[slice, slice]
"""Rows and columns of a tile in pixels of the input."""


def outer_places(size: tuple[int, int], side: int) -> list[Place]:
    """Where tiles of ``side`` pixels of the input lie; together they cover a frame of this size."""
    return list(Tiling(side, round(side * _SHARED)).places(*size))


class TiledShot:
    """A shot of frames whose tiles are shots of their own, averaged where they overlap.

    Args:
        shots: of the tiles.
        places: where they are.
        size: height and width of a frame.
        even: all pixels of a tile count the same, as published; else those in its middle most.
    """

    def __init__(self, shots: Sequence[Shot], places: Sequence[Place], size: tuple[int, int], even: bool) -> None:
        self._shots, self._places, self._size, self._even = shots, places, size, even

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """See ``Shot.restore``. Peak memory: the window's results, beside one tile."""
        total = torch.zeros(window.kept, 3, *(SCALE * side for side in self._size))
        count = torch.zeros(total.shape[-2:])
        for shot, (rows, columns) in zip(self._shots, self._places, strict=True):
            items = tuple(replace(item, image=item.image[:, rows, columns]) for item in window.items)
            down, across = (slice(SCALE * span.start, SCALE * span.stop) for span in (rows, columns))
            for index, image in enumerate(shot.restore(replace(window, items=items), check)):
                height, width = image.shape[-2:]
                weights = torch.ones(height, width) if self._even else gaussian_weights(height, width)
                total[index, :, down, across] += weights * image
                if index == 0:
                    count[down, across] += weights
        yield from total / count

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``."""
        return {f"{i}.{key}": value for i, shot in enumerate(self._shots) for key, value in shot.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""
        for i, shot in enumerate(self._shots):
            prefix = f"{i}."
            shot.load_state({k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)})
