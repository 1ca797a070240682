"""How much memory the recurrent network needs, and the window and tile that fit."""

import math
from dataclasses import dataclass

from ..config import LOOK_AHEAD, TILE, WINDOW, RecurrentConfig
from ..windows import WindowPlan

_BYTES = 4


@dataclass(frozen=True)
class MemoryPlan:
    """The window, and the side of a tile (0 is the whole frame)."""

    windows: WindowPlan
    tile: int


def plan_memory(channels: int, size: tuple[int, int], memory: int, config: RecurrentConfig) -> MemoryPlan:
    """Choose what is left automatic (zero) so that the estimate stays within ``memory`` bytes.

    A prepared frame costs its features, its backward state, the cleaned frame and two flows: (2C+7) floats a pixel. A
    tile of reconstruction costs about 5 maps of C channels at 16 times the pixels. Tiles shrink first, since they cost
    nothing in quality; then the window; the look-ahead last.
    """
    pixels = size[0] * size[1]
    frame = (2 * channels + 7) * pixels * _BYTES
    tile = config.tile or _largest_tile(channels, size, memory // 3)
    room = max(int(memory * 2 / 3 // frame), 2)
    look_ahead = config.look_ahead if config.look_ahead is not None else min(LOOK_AHEAD, max(room // 3, 1))
    window = config.window or max(min(WINDOW, room - look_ahead), 1)
    return MemoryPlan(WindowPlan(window, look_ahead), 0 if tile >= max(size) else tile)


def _largest_tile(channels: int, size: tuple[int, int], memory: int) -> int:
    affordable = math.isqrt(max(memory // (5 * 16 * channels * _BYTES), 1))
    return max(min(affordable, TILE), 64)
