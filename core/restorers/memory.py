"""How much memory the recurrent network needs, and the window and tile that fit."""

import math

from ..config import LOOK_AHEAD, SMALLEST_TILE, TILE, WINDOW, RecurrentConfig
from ..windows import WindowPlan

_BYTES = 4


def plan_memory(
    channels: int, size: tuple[int, int], memory: int, config: RecurrentConfig, best_tile: int = TILE["cpu"]
) -> WindowPlan:
    """Choose what is left automatic (zero) so that the estimate stays within ``memory`` bytes.

    A prepared frame costs its features, its backward state, the cleaned frame and two flows: (2C+7) floats a pixel. A
    tile of reconstruction costs about 5 maps of C channels at 16 times the pixels, one of features about 8 maps. Tiles
    shrink first, since they cost nothing in quality; then the window; the look-ahead last.

    Args:
        channels: C.
        size: height and width of a frame.
        memory: bytes beside the weights.
        config: what is not automatic.
        best_tile: the quickest side of a reconstruction tile on this device.

    Returns:
        Window, look-ahead and two sides of tiles: for the reconstruction, at 16 times the pixels, and for the
        convolutions at the input's size.
    """
    pixels = size[0] * size[1]
    frame = (2 * channels + 7) * pixels * _BYTES
    tile = config.tile or min(_affordable(5 * 16 * channels, memory // 4), best_tile)
    # The halo of the features' tiles is wide, so that they are cut only when they have to be.
    feature_tile = config.tile or _affordable(8 * channels, memory // 12)
    room = max(int(memory * 2 / 3 // frame), 2)
    look_ahead = config.look_ahead if config.look_ahead is not None else min(LOOK_AHEAD, max(room // 3, 1))
    window = config.window or max(min(WINDOW, room - look_ahead), 1)
    tiles = tuple(0 if side >= max(size) else side for side in (tile, feature_tile))
    return WindowPlan(window, look_ahead, tiles)


def _affordable(floats_a_pixel: int, memory: int) -> int:
    return max(math.isqrt(memory // (floats_a_pixel * _BYTES)), SMALLEST_TILE)
