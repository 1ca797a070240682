"""How much memory STAR's tiles need, and the sides that fit."""

import math

import torch

from ....models.star.chunks import Chunks
from .canvas import LATENT, STEP, Canvas
from .config import StarConfig

LEAST_TILE = 256
"""Side in pixels that no automatic tile of the denoiser goes below; published, it sees 1280x720 at least."""

LEAST_VAE_TILE = 128
"""The same of the autoencoder's."""

_DENOISER_NUMBERS = 2500
"""Numbers held at once for a pixel of a frame's latents by the published network; counted: 2000, without work space."""

_LAYER_NUMBERS, _FRAME_NUMBERS = 35, 15_000
"""And by a layer, for a number of what goes through it at once; or if that is one frame, for a pixel of its latents.

Counted: 30 and 13100.
"""

_LEAST_CHUNK, _MOST_CHUNK = 1 << 21, 1 << 25
"""Numbers that go through a layer at once: from many small pieces to the network's own choice."""

_DECODER_BYTES = 5000
"""Held at once for a pixel of a frame by the published decoder, whose norms keep single precision; counted: 4096."""


def plan_tiles(canvas: Canvas, config: StarConfig, memory: int, dtype: torch.dtype) -> tuple[int, int]:
    """Sides of the denoiser's tiles and the autoencoder's in pixels of the input; 0 is the whole frame.

    Args:
        canvas: the sizes.
        config: what is not automatic, and how many frames go through a network together.
        memory: bytes beside the weights.
        dtype: what the denoiser computes in.
    """
    numbers, pixel = memory // dtype.itemsize, _DENOISER_NUMBERS * config.together
    in_layers = _LAYER_NUMBERS * plan_chunks(memory, dtype).spatial
    pixels = max(min((numbers - in_layers) // pixel, numbers // (pixel + _FRAME_NUMBERS)), 0) * LATENT**2
    tile = config.tile or _fitting(canvas, pixels, LEAST_TILE)
    pixels = memory // (_DECODER_BYTES * (config.group + 2 * config.context))
    vae_tile = config.vae_tile or _fitting(canvas, pixels, LEAST_VAE_TILE)
    return canvas.input_side(tile), canvas.input_side(vae_tile)


def plan_chunks(memory: int, dtype: torch.dtype) -> Chunks:
    """What goes through a layer of the denoiser at once, so that layers hold a quarter of the memory; see above."""
    side = min(max(memory // (4 * _LAYER_NUMBERS * dtype.itemsize), _LEAST_CHUNK), _MOST_CHUNK)
    return Chunks(side, side)


def least_chunks() -> Chunks:
    """When memory ran out all the same."""
    return Chunks(_LEAST_CHUNK, _LEAST_CHUNK)


def _fitting(canvas: Canvas, pixels: int, least: int) -> int:
    """0 if the frame has no more pixels than these, else the largest side whose square has not, from the least on."""
    height, width = canvas.padded
    if height * width <= pixels:
        return 0
    return max(math.isqrt(pixels) // STEP * STEP, least)
