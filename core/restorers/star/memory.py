"""How much memory STAR's tiles need, and the sides that fit."""

import math

import torch

from .canvas import LATENT, STEP, Canvas
from .config import StarConfig

LEAST_TILE = 256
"""Side in pixels that no automatic tile of the denoiser goes below; it was trained at 1280x720."""

LEAST_VAE_TILE = 128
"""The same of the autoencoder's."""

_DENOISER_NUMBERS = 7000
"""Numbers held at once for a pixel of a frame's latents, by the published network."""

_DECODER_BYTES = 4096
"""Held at once for a pixel of a frame by the published decoder: in its last level, half precision or not."""


def plan_tiles(canvas: Canvas, config: StarConfig, memory: int, dtype: torch.dtype) -> tuple[int, int]:
    """Sides of the denoiser's tiles and the autoencoder's in pixels of the input; 0 is the whole frame.

    Args:
        canvas: the sizes.
        config: what is not automatic, and how many frames go through a network together.
        memory: bytes beside the weights.
        dtype: what the denoiser computes in.
    """
    pixels = memory // (_DENOISER_NUMBERS * dtype.itemsize * config.together) * LATENT**2
    tile = config.tile or _fitting(canvas, pixels, LEAST_TILE)
    pixels = memory // (_DECODER_BYTES * (config.group + 2 * config.context))
    vae_tile = config.vae_tile or _fitting(canvas, pixels, LEAST_VAE_TILE)
    return canvas.input_side(tile), canvas.input_side(vae_tile)


def _fitting(canvas: Canvas, pixels: int, least: int) -> int:
    """0 if the frame has no more pixels than these, else the largest side whose square has not, from the least on."""
    height, width = canvas.padded
    if height * width <= pixels:
        return 0
    return max(math.isqrt(pixels) // STEP * STEP, least)
