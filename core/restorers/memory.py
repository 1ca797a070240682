"""How much memory the recurrent network needs, and the window and tiles that fit."""

import math
from dataclasses import dataclass

from ..config import LOOK_AHEAD, SMALLEST_TILE, TILE, WINDOW, RecurrentConfig
from ..tiles import Tiles
from ..windows import WindowPlan

_SINGLE = 4
"""Bytes of what is single precision always: a prepared frame's picture and flows."""

_MOST_TOGETHER = 8
"""Frames that are prepared at once, or tiles that are computed at once."""


@dataclass(frozen=True)
class Costs:
    """What depends on the device, the precision and the network.

    Attributes:
        bytes: of a number of a feature map.
        tile: the quickest side of a reconstruction tile.
        window: frames a window, at best.
        beside: bytes for each pixel of the input that are taken by results, and by a step's whole maps.
        pixels: of the input, that are quickest computed at once in the reconstruction and in other convolutions; what
            is smaller, tiles or whole frames, is put together until there are so many. 0 puts nothing together.
        halos: pixels read around a tile of either.
    """

    bytes: int = 4
    tile: int = TILE["cpu"]
    window: int = WINDOW
    beside: int = 0
    pixels: tuple[int, int] = (0, 0)
    halos: tuple[int, int] = (0, 0)


_ON_A_CPU = Costs()


def plan_memory(
    channels: int, size: tuple[int, int], memory: int, config: RecurrentConfig, costs: Costs = _ON_A_CPU
) -> WindowPlan:
    """Choose what is left automatic (zero) so that the estimate stays within ``memory`` bytes.

    A prepared frame costs its features, its backward state, the cleaned frame and two flows: 2C numbers a pixel, and 7
    in single precision. A tile of reconstruction costs about 5 maps of C channels at 16 times the pixels, one of
    features about 8 maps. Tiles shrink first, since they cost nothing in quality; then the window; the look-ahead last.
    Tiles and frames are put together only in what memory one of them leaves.

    Args:
        channels: C.
        size: height and width of a frame.
        memory: bytes beside the weights.
        config: what is not automatic.
        costs: what depends on the device.

    Returns:
        Window, look-ahead and two kinds of tiles: for the reconstruction, at 16 times the pixels, and for the
        convolutions at the input's size. Where the latter are whole frames, so many are prepared at once.
    """
    pixels = size[0] * size[1]
    memory = max(memory - costs.beside * pixels, 0)
    frame = (2 * channels * costs.bytes + 7 * _SINGLE) * pixels
    fitting = (memory // 4 // (5 * 16 * channels * costs.bytes), memory // 12 // (8 * channels * costs.bytes))
    together = [min(one, other) for one, other in zip(fitting, costs.pixels, strict=True)]
    tile = config.tile or min(_side(fitting[0]), costs.tile)
    if not config.tile and pixels <= together[0]:
        tile = 0
    # The halo of the features' tiles is wide, so that they are cut only when they have to be.
    feature_tile = config.tile or _side(fitting[1])
    room = max(int(memory * 2 / 3 // frame), 2)
    look_ahead = config.look_ahead if config.look_ahead is not None else min(LOOK_AHEAD, max(room // 3, 1))
    window = config.window or max(min(costs.window, room - look_ahead), 1)
    sides = tuple(0 if side >= max(size) else side for side in (tile, feature_tile))
    kinds = [Tiles(side, halo) for side, halo in zip(sides, costs.halos, strict=True)]
    batches = [min(most // kind.pixels(*size), _MOST_TOGETHER) for kind, most in zip(kinds, together, strict=True)]
    counts = (kinds[0].count(*size), kinds[1].count(*size) if sides[1] else window + look_ahead)
    return WindowPlan(
        window, look_ahead, sides, tuple(max(min(n, most), 1) for n, most in zip(batches, counts, strict=True))
    )


def _side(pixels: int) -> int:
    return max(math.isqrt(pixels), SMALLEST_TILE)
