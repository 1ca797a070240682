"""STAR's frames to CogVideoX's latents and back: a causal autoencoder, tile by tile, so that any size works.

The first latent of a clip is made of one frame, each further one of four.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....models.star_cog.config import LATENT_SCALE
from ...config import SCALE
from ...diffusion.tiles import Tiling, average_tiles
from ...tiles import Check
from .config import LATENT

_MULTIPLE = 16
"""Pixels of a token, each way."""


def grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latents of frames of this size, enlarged and padded to whole tokens."""
    rows, columns = (-(-SCALE * side // _MULTIPLE) * (_MULTIPLE // LATENT) for side in (height, width))
    return rows, columns


def enlarge(images: Tensor) -> Tensor:
    """Frames (T,3,H,W) in [0,1] to what the networks see, (T,3,8h,8w) in [-1,1], mirrored at the right and below."""
    height, width = images.shape[-2:]
    size = SCALE * height, SCALE * width
    x = F.interpolate(2 * images - 1, size=size, mode="bicubic", antialias=False).clamp(-1, 1)
    rows, columns = grid(height, width)
    return F.pad(x, (0, LATENT * columns - size[1], 0, LATENT * rows - size[0]), mode="reflect")


def encode_clip(vae: nn.Module, frames: Tensor, side: int, check: Check) -> tuple[Tensor, Tensor]:
    """Latents of enlarged frames that are one clip.

    Args:
        vae: diffusers' ``AutoencoderKLCogVideoX``, on its device.
        frames: (4k+1,3,8h,8w) in [-1,1], CPU.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        Mean and deviation, (k+1,16,h,w) each, float32, CPU, not scaled.
    """
    network, like = _typed(vae)
    clip = frames.transpose(0, 1)[None]  # (T,3,H,W) -> (1,3,T,H,W)

    def part(rows: slice, columns: slice) -> Tensor:
        check()
        piece = clip[..., _pixels(rows), _pixels(columns)].to(like)
        found = network.encode(piece).latent_dist
        return torch.cat([found.mean, found.std]).float().cpu()

    size = frames.shape[-2] // LATENT, frames.shape[-1] // LATENT
    mean, deviation = average_tiles(part, size, tiling(side // LATENT))
    return mean.transpose(0, 1), deviation.transpose(0, 1)  # (16,T,h,w) -> (T,16,h,w)


def decode_clip(vae: nn.Module, latents: Tensor, side: int, check: Check) -> Tensor:
    """Frames of one clip from its latents.

    Args:
        vae: as in ``encode_clip``.
        latents: (n,16,h,w), scaled.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        (4(n-1)+1,3,8h,8w), about [-1,1], float32, CPU.
    """
    network, like = _typed(vae)
    count = len(latents)
    if count % 2 == 0:  # the library goes through latents in twos, the first one apart
        latents = torch.cat([latents, latents[-1:]])
    z = (latents / LATENT_SCALE).transpose(0, 1)[None]  # (T,16,h,w) -> (1,16,T,h,w)

    def part(rows: slice, columns: slice) -> Tensor:
        check()
        piece = z[..., _latent(rows), _latent(columns)].to(like)
        return network.decode(piece).sample[0].float().cpu()

    size = LATENT * z.shape[-2], LATENT * z.shape[-1]
    decoded = average_tiles(part, size, tiling(side, LATENT))
    return decoded.transpose(0, 1)[: 4 * (count - 1) + 1]  # (3,T,H,W) -> (T,3,H,W)


def finish(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """A decoded frame (3,8h,8w), about [-1,1], to the result (3,4H,4W) in [0,1] of an input of this size."""
    return (frame[..., : SCALE * size[0], : SCALE * size[1]] / 2 + 0.5).clamp(0, 1)


def tiling(side: int, unit: int = 1) -> Tiling:
    """Square tiles that share a quarter, in whole units."""
    return Tiling(side, side // 4 // unit * unit)


def _typed(vae: nn.Module) -> tuple[Any, Tensor]:
    """The autoencoder, and a tensor of the device and type that it works with."""
    return vae, next(vae.parameters())


def _pixels(span: slice) -> slice:
    return slice(LATENT * span.start, LATENT * span.stop)


def _latent(span: slice) -> slice:
    return slice(span.start // LATENT, span.stop // LATENT)
