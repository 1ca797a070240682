"""How much memory SDATC's tiles need, and the sides that fit."""

import math
from dataclasses import dataclass

import torch

from .canvas import LATENT, Canvas
from .config import SDATC_SIDE, SdatcConfig

LEAST_TILE = 256
"""Side in pixels that the denoiser's tiles never go below unless asked to: it is trained at twice that."""

LEAST_VAE_TILE = 64
"""The same of the autoencoder's, of which less must be known at once."""

_DENOISER_NUMBERS = 11_300
_VAE_NUMBERS = 1_100
_PROMPT_NUMBERS = 2_100
"""Numbers held at once for a pixel of a frame's latents, for one of a frame, and for one of the frame that a CAPM of
the autoencoder is at: counted tensor by tensor at full width, 9000, 900 and 1670, with a quarter for the libraries."""


@dataclass(frozen=True)
class Fitting:
    """What fits the memory.

    Attributes:
        tile: side of the denoiser's tiles in pixels of the result.
        vae_tile: the same of the autoencoder's.
        at_once: frames of a tile that go through the denoiser together.
    """

    tile: int
    vae_tile: int
    at_once: int


def fit(canvas: Canvas, config: SdatcConfig, memory: int, dtype: torch.dtype) -> Fitting:
    """As configured, or as memory allows; no automatic tile is larger than what the networks are trained at.

    Fewer frames go through the denoiser at once before its tiles are made smaller: the result is the same.

    Args:
        canvas: the sizes.
        config: what is not automatic, and the frames of a window.
        memory: bytes beside the weights.
        dtype: what the denoiser computes in; the autoencoder's is float32.
    """
    pixels = memory // (dtype.itemsize * _DENOISER_NUMBERS) * LATENT**2
    tile = config.tile or _halved(pixels, LEAST_TILE)
    seen = min(tile, canvas.padded[0]) * min(tile, canvas.padded[1])
    at_once = min(max(pixels // seen, 1), config.window)
    a_pixel = torch.float32.itemsize * (_VAE_NUMBERS * (config.window + config.context) + _PROMPT_NUMBERS)
    return Fitting(tile, config.vae_tile or _halved(memory // a_pixel, LEAST_VAE_TILE), at_once)


def _halved(pixels: int, least: int) -> int:
    """The trained side, or a half of it, and so on, until a tile has no more pixels than these."""
    side = SDATC_SIDE
    while side > least and side > math.isqrt(pixels):
        side //= 2
    return side
