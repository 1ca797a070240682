"""SDATC's autoencoder over frames of any size: tiles that overlap and are averaged."""

import torch
from torch import Tensor

from ....models.sdatc.config import LATENT_SCALE
from ....models.sdatc.vae import SdatcVae
from ...diffusion.tiles import Tiling, average_tiles
from ...tiles import Check
from .canvas import LATENT


def encode_frames(vae: SdatcVae, frames: Tensor, side: int, check: Check) -> Tensor:
    """Latents of frames, one by one.

    Args:
        vae: on its device, in single precision.
        frames: (T,3,8h,8w) RGB in [-1,1], CPU.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        The mean of what the encoder says, (T,4,h,w), scaled, float32, CPU.
    """
    like, found = next(vae.parameters()), []
    for frame in frames.split(1):

        def part(rows: slice, columns: slice, frame: Tensor = frame) -> Tensor:
            check()
            return vae.encode(frame[..., _pixels(rows), _pixels(columns)].to(like))[0].float().cpu()

        size = frame.shape[-2] // LATENT, frame.shape[-1] // LATENT
        found.append(LATENT_SCALE * average_tiles(part, size, _tiling(side // LATENT)))
    return torch.cat(found)


def decode_frames(vae: SdatcVae, latents: Tensor, frames: Tensor, fidelity: float, side: int, check: Check) -> Tensor:
    """Frames of one clip from their latents, led by the features of others.

    Args:
        vae: as in ``encode_frames``.
        latents: (T,4,h,w), scaled.
        frames: (T,3,8h,8w) RGB in [-1,1], CPU, of which the features are made, tile by tile.
        fidelity: how much these count.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        (T,3,8h,8w), about [-1,1], float32, CPU.
    """
    like = next(vae.parameters())

    def part(rows: slice, columns: slice) -> Tensor:
        features: list[list[Tensor]] = []
        for frame in frames[..., rows, columns].split(1):
            check()
            features.append(vae.encode(frame.to(like))[2])
        check()
        z = latents[..., _latent(rows), _latent(columns)].to(like) / LATENT_SCALE
        joined = [torch.cat(level) for level in zip(*features, strict=True)]
        return vae.decode(z, joined, len(z), fidelity).float().cpu()

    return average_tiles(part, (frames.shape[-2], frames.shape[-1]), _tiling(side))


def _tiling(side: int) -> Tiling:
    """A quarter of a tile is shared; of tiles of 64 pixels or their latents, still whole latents."""
    return Tiling(side, side // 4 // LATENT * LATENT if side >= 4 * LATENT else side // 4)


def _pixels(span: slice) -> slice:
    return slice(LATENT * span.start, LATENT * span.stop)


def _latent(span: slice) -> slice:
    return slice(span.start // LATENT, span.stop // LATENT)
