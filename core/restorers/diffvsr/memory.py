"""How much memory DiffVSR's tiles need, and the sides that fit."""

import math

import torch

from .config import DIFFVSR_CONTEXT, DIFFVSR_LEAST_TILE, DIFFVSR_TILE, DIFFVSR_WHOLE, DiffVsrConfig
from .decode import CHUNK
from .sampling import BOTH_PIXELS

_DENOISER_FLOATS = 16 * 256
"""Numbers held at once for a pixel of the latents, by the published denoiser; counted: 3540, without work space."""

_DECODER_FLOATS = 8 * 128 * 16
"""The same, by the published decoder, whose frames are 16 times as large; counted: 13300."""

_FULL = 4
"""Bytes of a number in full precision."""


def plan_tiles(size: tuple[int, int], config: DiffVsrConfig, memory: int, dtype: torch.dtype) -> tuple[int, int]:
    """Sides of the denoiser's tiles and the decoder's in pixels of the input; 0 is the whole frame.

    Args:
        size: height and width of a frame.
        config: what is not automatic, the frames of a window, and how tiles are put together.
        memory: bytes beside the weights.
        dtype: what the networks compute in.
    """
    whole = size[0] * size[1] <= DIFFVSR_WHOLE
    pixels = memory // (_DENOISER_FLOATS * config.window * dtype.itemsize)
    if pixels < 2 * BOTH_PIXELS:
        pixels //= 2  # such tiles go through twice at once
    tile = config.tile
    if not tile:
        rim = 0 if config.tiling == "published" else 2 * DIFFVSR_CONTEXT
        largest = 0 if whole else DIFFVSR_TILE + rim
        tile = largest if config.tiling == "published" else _fitting(size, largest, pixels)
    wide = _FULL if config.decoder == "float32" else dtype.itemsize
    pixels = memory // (_DECODER_FLOATS * (CHUNK + 2 * config.context) * wide)
    decoder_tile = config.decoder_tile or _fitting(size, 0, pixels)
    return _shown(tile, size), _shown(decoder_tile, size)


def _fitting(size: tuple[int, int], largest: int, pixels: int) -> int:
    """The largest side, or less if that is more than these pixels, but not below the least."""
    height, width = (min(side, largest) if largest else side for side in size)
    if height * width <= pixels:
        return largest
    return max(math.isqrt(pixels), DIFFVSR_LEAST_TILE)


def _shown(side: int, size: tuple[int, int]) -> int:
    return 0 if side >= max(size) else side
