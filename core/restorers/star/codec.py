"""STAR's autoencoder, Stable Video Diffusion's: frames to latents one by one, and back in groups."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion.tiles import Tiling, average_tiles
from ...tiles import Check
from .canvas import LATENT, pixel_tiling
from .vae import SvdVae

log = logging.getLogger(__name__)

LATENT_SCALE = 0.18215
"""The denoiser's latents over the autoencoder's."""


@dataclass(frozen=True)
class Codec:
    """The autoencoder over frames of any size: tiles that overlap and are averaged.

    Attributes:
        vae: on its device, in single precision.
        dtype: what the decoder's products and convolutions compute in; the encoder's in the weights' own.
        side: of a tile in pixels, a multiple of 64; 0 is the whole frame.
        check: called before every tile; raises to cancel.
    """

    vae: SvdVae
    dtype: torch.dtype
    side: int
    check: Check

    def encode(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """A frame (3,8h,8w) in [-1,1] to mean and deviation of its scaled latents, (4,h,w) each, float32, CPU.

        One frame at a time takes less memory than a group in the decoder, so that its tiles are twice as wide.
        """
        like = next(self.vae.parameters())

        def part(rows: slice, columns: slice) -> Tensor:
            self.check()
            pixels = frame[None, :, _pixels(rows), _pixels(columns)].to(like)
            return self.vae.encode(pixels)[0].float().cpu()

        height, width = frame.shape[-2] // LATENT, frame.shape[-1] // LATENT
        side = 2 * self.side
        if not side or side >= max(frame.shape[-2:]):
            moments = part(slice(0, height), slice(0, width))
        else:
            moments = average_tiles(part, (height, width), Tiling(side // LATENT, side // LATENT // 4))
        mean, log_variance = moments.chunk(2)
        return LATENT_SCALE * mean, LATENT_SCALE * (0.5 * log_variance.clamp(-30.0, 20.0)).exp()

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (T,4,h,w) of frames that see each other to (T,3,8h,8w), about [-1,1], float32, CPU."""

        def part(rows: slice, columns: slice) -> Tensor:
            self.check()
            return self._decode(latents[..., _latent(rows), _latent(columns)])

        size = LATENT * latents.shape[-2], LATENT * latents.shape[-1]
        if not self.side or self.side >= max(size):
            return part(slice(0, size[0]), slice(0, size[1]))
        return average_tiles(part, size, pixel_tiling(self.side))

    def _decode(self, latents: Tensor) -> Tensor:
        like = next(self.vae.parameters())
        z = latents.to(like) / LATENT_SCALE
        if self.dtype != like.dtype:
            with torch.autocast(like.device.type, self.dtype):
                frames = self.vae.decode(z).float()
            if bool(frames.isfinite().all()):
                return frames.cpu()
            log.debug("Too large for half precision; once more in single.")
        return self.vae.decode(z).float().cpu()


def decode_groups(codec: Codec, latents: Tensor, chosen: Sequence[tuple[range, range]]) -> Iterator[Tensor]:
    """Frames (3,8h,8w) of the wanted ones of ``latents``, group by group; see ``overlaps.with_context``."""
    for wanted, decoded in chosen:
        frames = codec.decode(latents[decoded.start : decoded.stop])
        yield from frames[wanted.start - decoded.start :][: len(wanted)]


def _pixels(span: slice) -> slice:
    return slice(LATENT * span.start, LATENT * span.stop)


def _latent(span: slice) -> slice:
    return slice(span.start // LATENT, span.stop // LATENT)
