"""How much memory STAR's CogVideoX version needs for its tiles, and the sides that fit."""

import math

import torch

from ....models.star_cog.config import PATCH
from ...config import SCALE
from .codec import grid
from .config import LATENT, TILE, StarCogConfig

LEAST_TILE, LEAST_VAE_TILE = 192, 128
"""Sides in pixels that no automatic tile goes below."""

_TOKEN_NUMBERS = 36_000
_PIXEL_NUMBERS = 9_000
"""Numbers held at once for a token of a tile, and for a pixel of the autoencoder's, by the published networks."""

_UNIT = 64


def plan_tiles(size: tuple[int, int], config: StarCogConfig, memory: int, dtype: torch.dtype) -> tuple[int, int]:
    """Sides of the denoiser's tiles (their height) and the autoencoder's in pixels of the input; 0 is the whole frame.

    Args:
        size: height and width of a frame.
        config: what is not automatic, and the frames of a window.
        memory: bytes beside the weights.
        dtype: what the networks compute in.
    """
    height, width = (LATENT * side for side in grid(*size))
    numbers = memory // dtype.itemsize
    tile = config.tile or _fitting(numbers * (PATCH * LATENT) ** 2 / (_TOKEN_NUMBERS * config.length * 1.5))
    largest = TILE[0] if not config.vae_tile else config.vae_tile
    vae_tile = min(max(math.isqrt(numbers // _PIXEL_NUMBERS) // _UNIT * _UNIT, LEAST_VAE_TILE), largest)
    vae_tile = config.vae_tile or vae_tile
    whole = tile >= height and 3 * tile >= 2 * width
    return (0 if whole else tile // SCALE), (0 if vae_tile >= max(height, width) else vae_tile // SCALE)


def denoiser_tile(side: int, size: tuple[int, int]) -> int:
    """Height in pixels of the result of the denoiser's tiles, from what ``plan_tiles`` gave; 0 becomes the frame's."""
    height, width = (LATENT * length for length in grid(*size))
    return SCALE * side if side else max(height, -(-2 * width // 3))


def vae_tile(side: int, size: tuple[int, int]) -> int:
    """Side in pixels of the result of the autoencoder's tiles, a multiple of 8, at least 64."""
    whole = LATENT * max(grid(*size))
    return min(max(SCALE * side // _UNIT * _UNIT, _UNIT), whole) if side else whole


def _fitting(pixels: float) -> int:
    """The trained height, or less until a tile half as wide again has no more pixels than 1.5 times these."""
    side = min(math.isqrt(int(pixels)) // _UNIT * _UNIT, TILE[0])
    return max(side, LEAST_TILE)
