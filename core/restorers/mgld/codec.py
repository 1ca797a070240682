"""MGLD-VSR's autoencoder over frames of any size: tiles that overlap and are averaged."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ....models.mgld.config import LATENT_SCALE
from ....models.mgld.video_vae import VideoVAE
from ...diffusion.tiles import Tiling, average_tiles
from ...tiles import Check
from ..precision import in_single_precision, is_single
from .canvas import LATENT, Size

log = logging.getLogger(__name__)


def encode_frames(vae: VideoVAE, frames: Tensor, side: int, check: Check) -> tuple[Tensor, Tensor]:
    """Latents of enlarged low-resolution frames, one by one.

    Args:
        vae: on its device; where numbers grow too large for half precision, a copy in single precision works.
        frames: (T,3,8h,8w) RGB in [-1,1], CPU.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        Mean and logarithm of the variance, (T,4,h,w) each, float32, CPU, not scaled.
    """
    finite, moments = _Finite(vae), []
    for frame in frames.split(1):

        def part(rows: slice, columns: slice, frame: Tensor = frame) -> Tensor:
            check()
            return finite.run(lambda vae: _encode(vae, frame[..., _pixels(rows), _pixels(columns)]))

        size = frame.shape[-2] // LATENT, frame.shape[-1] // LATENT
        moments.append(average_tiles(part, size, _tiling(side // LATENT)))
    mean, log_variance = torch.cat(moments).chunk(2, dim=1)
    return mean, log_variance


def decode_frames(vae: VideoVAE, latents: Tensor, frames: Tensor, fidelity: float, side: int, check: Check) -> Tensor:
    """Frames of one clip from their latents, led by the features of the enlarged low-resolution ones.

    Args:
        vae: as in ``encode_frames``.
        latents: (T,4,h,w), scaled.
        frames: (T,3,8h,8w) RGB in [-1,1], CPU, of which the features are made, tile by tile.
        fidelity: how much they count.
        side: of a tile in pixels, a multiple of 8.
        check: called before every tile; raises to cancel.

    Returns:
        (T,3,8h,8w), about [-1,1], float32, CPU.
    """

    def decode(vae: VideoVAE, rows: slice, columns: slice) -> Tensor:
        check()
        like = next(vae.parameters())
        features = vae.encode(frames[..., rows, columns].to(like))[2]
        check()
        z = latents[..., _latent(rows), _latent(columns)].to(like) / LATENT_SCALE
        return vae.decode(z, features, len(z), fidelity).float().cpu()

    def part(rows: slice, columns: slice) -> Tensor:
        return finite.run(lambda vae: decode(vae, rows, columns))

    finite = _Finite(vae)
    size: Size = (frames.shape[-2], frames.shape[-1])
    return average_tiles(part, size, _tiling(side))


def _encode(vae: VideoVAE, frame: Tensor) -> Tensor:
    mean, log_variance, _ = vae.encode(frame.to(next(vae.parameters())))
    return torch.cat([mean, log_variance], dim=1).float().cpu()


class _Finite:
    """Runs an autoencoder; from where numbers grow too large for half precision on, a copy in single precision."""

    def __init__(self, vae: VideoVAE) -> None:
        self._vae = vae

    def run(self, work: Callable[[VideoVAE], Tensor]) -> Tensor:
        result = work(self._vae)
        if is_single(self._vae) or bool(result.isfinite().all()):
            return result
        log.debug("Too large for half precision; on in single.")
        self._vae = in_single_precision(self._vae)
        return work(self._vae)


def _tiling(side: int) -> Tiling:
    """A quarter of a tile is shared; of tiles of 64 pixels or their latents, still whole latents."""
    return Tiling(side, side // 4 // LATENT * LATENT if side >= 4 * LATENT else side // 4)


def _pixels(span: slice) -> slice:
    return slice(LATENT * span.start, LATENT * span.stop)


def _latent(span: slice) -> slice:
    return slice(span.start // LATENT, span.stop // LATENT)
