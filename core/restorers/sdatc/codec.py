"""SDATC's autoencoder over frames of any size: tiles that overlap and are averaged."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ....models.sdatc.config import LATENT_SCALE
from ....models.sdatc.vae import SdatcVae
from ...diffusion.tiles import Tiling, average_tiles
from ...tiles import Check
from .canvas import LATENT


@dataclass(frozen=True)
class Codec:
    """Turns frames into latents and back.

    Attributes:
        vae: on its device, in single precision.
        side: of a tile in pixels, a multiple of 8.
        check: called before every piece of a tile; raises to cancel.
    """

    vae: SdatcVae
    side: int
    check: Check

    def encode(self, frames: Tensor) -> Tensor:
        """Latents of frames, one by one.

        Args:
            frames: (T,3,8h,8w) RGB in [-1,1], CPU.

        Returns:
            The mean of what the encoder says, (T,4,h,w), scaled, float32, CPU.
        """
        found = []
        for frame in frames.split(1):

            def part(rows: slice, columns: slice, frame: Tensor = frame) -> Tensor:
                return self._encoded(frame[..., _pixels(rows), _pixels(columns)])[0].float().cpu()

            size = frame.shape[-2] // LATENT, frame.shape[-1] // LATENT
            found.append(LATENT_SCALE * average_tiles(part, size, _tiling(self.side // LATENT)))
        return torch.cat(found)

    def decode(self, latents: Tensor, frames: Tensor, fidelity: float) -> Tensor:
        """Frames of one clip from their latents, led by the features of others.

        Args:
            latents: (T,4,h,w), scaled, on any device.
            frames: (T,3,8h,8w) RGB in [-1,1], CPU, of which the features are made, tile by tile.
            fidelity: how much these count.

        Returns:
            (T,3,8h,8w), about [-1,1], float32, CPU.
        """

        def part(rows: slice, columns: slice) -> Tensor:
            features = [self._encoded(frame)[1] for frame in frames[..., rows, columns].split(1)]
            self.check()
            z = latents[..., _latent(rows), _latent(columns)].to(next(self.vae.parameters())) / LATENT_SCALE
            joined = [torch.cat(level) for level in zip(*features, strict=True)]
            return self.vae.decode(z, joined, len(z), fidelity).float().cpu()

        return average_tiles(part, (frames.shape[-2], frames.shape[-1]), _tiling(self.side))

    def _encoded(self, frame: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Mean and features."""
        self.check()
        mean, _, features = self.vae.encode(frame.to(next(self.vae.parameters())))
        return mean, features


def _tiling(side: int) -> Tiling:
    """A quarter of a tile is shared; of tiles of 64 pixels or their latents, still whole latents."""
    return Tiling(side, side // 4 // LATENT * LATENT if side >= 4 * LATENT else side // 4)


def _pixels(span: slice) -> slice:
    return slice(LATENT * span.start, LATENT * span.stop)


def _latent(span: slice) -> slice:
    return slice(span.start // LATENT, span.stop // LATENT)
