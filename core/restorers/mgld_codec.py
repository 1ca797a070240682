"""MGLD-VSR's autoencoder over frames of any size: tiles that overlap and are averaged."""

import torch
from torch import Tensor

from ...models.mgld.config import LATENT_SCALE
from ...models.mgld.video_vae import VideoVAE
from ..diffusion.tiles import Tiling, average_tiles
from ..tiles import Check
from .mgld_canvas import LATENT, Size


def encode_frames(vae: VideoVAE, frames: Tensor, side: int, check: Check) -> tuple[Tensor, Tensor]:
    """Latents of enlarged low-resolution frames, one by one.

    Args:
        vae: on its device.
        frames: (T,3,8h,8w) RGB in [-1,1], CPU.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        Mean and logarithm of the variance, (T,4,h,w) each, float32, CPU, not scaled.
    """
    like = next(vae.parameters())
    moments = []
    for frame in frames.split(1):

        def part(rows: slice, columns: slice, frame: Tensor = frame) -> Tensor:
            check()
            mean, log_variance, _ = vae.encode(frame[..., _pixels(rows), _pixels(columns)].to(like))
            return torch.cat([mean, log_variance], dim=1).float().cpu()

        size = frame.shape[-2] // LATENT, frame.shape[-1] // LATENT
        moments.append(average_tiles(part, size, _tiling(side // LATENT)))
    mean, log_variance = torch.cat(moments).chunk(2, dim=1)
    return mean, log_variance


def decode_frames(vae: VideoVAE, latents: Tensor, frames: Tensor, fidelity: float, side: int, check: Check) -> Tensor:
    """Frames of one clip from their latents, led by the features of the enlarged low-resolution ones.

    Args:
        vae: on its device.
        latents: (T,4,h,w), scaled.
        frames: (T,3,8h,8w) RGB in [-1,1], CPU, of which the features are made, tile by tile.
        fidelity: how much they count.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        (T,3,8h,8w), about [-1,1], float32, CPU.
    """
    like = next(vae.parameters())

    def part(rows: slice, columns: slice) -> Tensor:
        check()
        features = vae.encode(frames[..., rows, columns].to(like))[2]
        check()
        z = latents[..., _latent(rows), _latent(columns)].to(like) / LATENT_SCALE
        return vae.decode(z, features, len(z), fidelity).float().cpu()

    size: Size = (frames.shape[-2], frames.shape[-1])
    return average_tiles(part, size, _tiling(side))


def _tiling(side: int) -> Tiling:
    """A quarter of a tile is shared; of tiles of 64 pixels or their latents, still whole latents."""
    return Tiling(side, side // 4 // LATENT * LATENT if side >= 4 * LATENT else side // 4)


def _pixels(span: slice) -> slice:
    return slice(LATENT * span.start, LATENT * span.stop)


def _latent(span: slice) -> slice:
    return slice(span.start // LATENT, span.stop // LATENT)
