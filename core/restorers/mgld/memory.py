"""How much memory MGLD-VSR's tiles need, and the sides that fit."""

import math

import torch

from .canvas import LATENT, Canvas
from .config import MGLD_SIDE, MgldConfig

LEAST_TILE = 256
"""Side in pixels that the denoiser's tiles never go below: it was trained at twice that."""

LEAST_VAE_TILE = 64
"""The same of the autoencoder's, of which less must be known at once."""

_DENOISER_NUMBERS = 10_000
_VAE_NUMBERS = 1_100
"""Numbers held at once for a pixel of a frame's latents, and of a frame, by the published networks.

Counted tensor by tensor, with a quarter for the libraries' work space: the widest feed-forward layer of the denoiser
holds 8000, the decoder before its last level 770 and the features of its input.
"""


def plan_tiles(canvas: Canvas, config: MgldConfig, memory: int, dtype: torch.dtype) -> tuple[int, int]:
    """Sides of the denoiser's tiles and the autoencoder's in pixels of the input: as configured, or as memory allows.

    No automatic tile is larger than what the networks were trained at.

    Args:
        canvas: the sizes.
        config: what is not automatic, and the frames of a window.
        memory: bytes beside the weights.
        dtype: what the networks compute in.
    """
    numbers = memory // (dtype.itemsize * config.window)
    tile = config.tile or _fitting(numbers * LATENT**2 // _DENOISER_NUMBERS, LEAST_TILE)
    vae_tile = config.vae_tile or _fitting(numbers // _VAE_NUMBERS, LEAST_VAE_TILE)
    return canvas.input_side(tile), canvas.input_side(vae_tile)


def _fitting(pixels: int, least: int) -> int:
    """Half the trained side, or a quarter and so on, until a tile has no more pixels than these."""
    side = MGLD_SIDE
    while side > least and side > math.isqrt(pixels):
        side //= 2
    return side
