"""How much memory STAR's CogVideoX version needs for its tiles, and the sides that fit."""

import math

import torch

from ....models.star_cog.config import PATCH
from ...config import SCALE
from .codec import grid
from .config import LATENT, TILE, StarCogConfig

LEAST_TILE, LEAST_VAE_TILE = 192, 128
"""Sides in pixels that no automatic tile goes below."""

_TOKEN_NUMBERS = 55_000
_PIXEL_NUMBERS = 31_000
"""Numbers held at once for a token of a tile, and for a pixel of the autoencoder's, by the published networks.

Counted tensor by tensor, with a quarter for the libraries' work space, a third for that of convolutions. The
transformer holds 43800, whatever the tile, the decoder 22900, which is more than the encoder's 10100.
"""

_UNIT = 32


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
    tokens = numbers // (_TOKEN_NUMBERS * config.length)
    tile = config.tile or _between(PATCH * LATENT * math.isqrt(int(tokens / 1.5)), LEAST_TILE)
    vae_tile = config.vae_tile or _between(math.isqrt(numbers // _PIXEL_NUMBERS), LEAST_VAE_TILE)
    whole = tile >= height and 3 * tile >= 2 * width
    return (0 if whole else tile // SCALE), (0 if vae_tile >= max(height, width) else vae_tile // SCALE)


def denoiser_tile(side: int, size: tuple[int, int]) -> int:
    """Height in pixels of the result of the denoiser's tiles, from what ``plan_tiles`` gave; 0 becomes the frame's."""
    height, width = (LATENT * length for length in grid(*size))
    return SCALE * side if side else max(height, -(-2 * width // 3))


def vae_tile(side: int, size: tuple[int, int]) -> int:
    """Side in pixels of the result of the autoencoder's tiles, a multiple of 32."""
    whole = LATENT * max(grid(*size))
    return min(max(SCALE * side // _UNIT * _UNIT, _UNIT), whole) if side else whole


def _between(side: int, least: int) -> int:
    """Whole units, no more than the trained height."""
    return max(min(side // _UNIT * _UNIT, TILE[0] // _UNIT * _UNIT), least)
