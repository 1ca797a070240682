"""DiffVSR's decoder over clips of any length and frames of any size: chunks in time, tiles in space."""

import torch
from torch import Tensor

from ....models.diffvsr.vae import VAE
from ...diffusion.tiles import Tiling, average_tiles
from ...tiles import Check

LATENT_SCALE = 0.08333
"""The denoiser's latents over the autoencoder's."""

CHUNK = 4
"""Frames that are decoded for their own sake at a time."""


def decode_clip(vae: VAE, latents: Tensor, side: int, check: Check) -> Tensor:
    """Decode frames together.

    Args:
        vae: on its device.
        latents: (T,4,h,w), scaled.
        side: of a tile in latent pixels; 0 is the whole frame.
        check: called before every tile; raises to cancel.

    Returns:
        (T,3,4h,4w) RGB in about [0,1], not clamped, float32, CPU.
    """
    like, factor = next(vae.parameters()), vae.config.factor
    z = (latents / LATENT_SCALE).transpose(0, 1)[None]  # (T,4,h,w) -> (1,4,T,h,w)

    def part(rows: slice, columns: slice) -> Tensor:
        check()
        piece = z[..., _shrunk(rows, factor), _shrunk(columns, factor)]
        return vae.decode(piece.to(like)).float()[0].cpu()

    if not side or side >= max(z.shape[-2:]):
        side = max(z.shape[-2:])
        decoded = part(slice(0, factor * side), slice(0, factor * side))
    else:
        size = factor * z.shape[-2], factor * z.shape[-1]
        decoded = average_tiles(part, size, Tiling(factor * side, factor * (side // 4)))
    return torch.add(0.5, decoded, alpha=0.5).transpose(0, 1)


def _shrunk(span: slice, factor: int) -> slice:
    return slice(span.start // factor, span.stop // factor)
