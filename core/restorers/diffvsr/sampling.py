"""DiffVSR's sampling of a clip: DDIM on predicted velocities, led by the text, over frames with noise of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...diffusion.frame_noise import frame_noise
from ...diffusion.tiles import Tiling, average_tiles
from ...tiles import Check
from ..parts import TellStep, untold
from .config import DiffVsrConfig

_TRAINED_STEPS = 1000
_LOW, _HIGH = 1e-4, 2e-2
"""Least and greatest beta of both schedules."""

BOTH_PIXELS = 128 * 128
"""Up to this size a tile is gone through once for both texts, which is quicker; a larger one would take the memory."""

_WHOLE = (slice(None), slice(None))

Schedule = Sequence[tuple[int, float, float]]
"""Steps from the noisiest: the timestep, abar there, and abar where the step ends."""


def latent_alphas() -> Tensor:
    """abar of the latents at timesteps 0 to 999, (1000,): betas evenly spaced."""
    return torch.cumprod(1.0 - torch.linspace(_LOW, _HIGH, _TRAINED_STEPS), dim=0)


def frame_alphas() -> Tensor:
    """abar of the low-resolution frames at noise levels 0 to 999, (1000,): square roots of betas evenly spaced."""
    return torch.cumprod(1.0 - torch.linspace(_LOW**0.5, _HIGH**0.5, _TRAINED_STEPS) ** 2, dim=0)


def ddim_schedule(steps: int) -> Schedule:
    """Evenly spread timesteps that begin at 1, as trained ones are counted; the last step ends at timestep 0."""
    alphas, stride = latent_alphas().tolist(), _TRAINED_STEPS // steps
    timesteps = [1 + stride * i for i in reversed(range(steps))]
    return [(t, alphas[t], alphas[max(t - stride, 0)]) for t in timesteps]


def add_frame_noise(frames: Tensor, noise: Tensor, level: int) -> Tensor:
    """Low-resolution frames in [-1,1] with noise of a level from 0 to 999: sqrt(abar) x + sqrt(1 - abar) n."""
    kept = float(frame_alphas()[level])
    return kept**0.5 * frames + (1.0 - kept) ** 0.5 * noise


@dataclass(frozen=True)
class Clip:
    """What is sampled together.

    Attributes:
        noise: (4,T,h,w) that the latents begin as, float32, on the denoiser's device.
        frames: (3,T,h,w), of the low resolution in [-1,1] with noise, the same.
        positive: (T,K,D) in the denoiser's dtype: what each frame shall show.
        negative: (T,K,D), what it shall not.
    """

    noise: Tensor
    frames: Tensor
    positive: Tensor
    negative: Tensor


@dataclass(frozen=True)
class ClipSampler:
    """Samples clips.

    Attributes:
        denoiser: a ``models.diffvsr.unet.UNet``, on its device.
        tile: side of a tile of every step in latent pixels; 0 is the whole frame.
        config: steps, guidance, noise level.
        check: called before every tile; raises to cancel.
        tell: called after every step.
    """

    denoiser: nn.Module
    tile: int
    config: DiffVsrConfig
    check: Check
    tell: TellStep = untold

    def sample(self, clip: Clip) -> Tensor:
        """Clean latents (4,T,h,w), scaled (Song et al., ICLR 2021, eq. 12 with sigma 0), nothing clipped.

        With a velocity v at abar: x0 = sqrt(abar) x - sqrt(1 - abar) v and n = sqrt(abar) v + sqrt(1 - abar) x.
        """
        x = clip.noise
        for done, (timestep, alpha, following) in enumerate(ddim_schedule(self.config.steps), 1):
            velocity = self._velocity(clip, x, timestep)
            clean = alpha**0.5 * x - (1.0 - alpha) ** 0.5 * velocity
            noise = alpha**0.5 * velocity + (1.0 - alpha) ** 0.5 * x
            x = following**0.5 * clean + (1.0 - following) ** 0.5 * noise
            self.tell(done, self.config.steps)
        return x

    def _velocity(self, clip: Clip, x: Tensor, timestep: int) -> Tensor:
        """The guided velocity of all tiles."""

        def part(rows: slice, columns: slice) -> Tensor:
            return self._predict(clip, (x[..., rows, columns], clip.frames[..., rows, columns]), timestep)

        size = x.shape[-2], x.shape[-1]
        if not self.tile or self.tile >= max(size):
            return part(slice(None), slice(None))
        return average_tiles(part, size, Tiling(self.tile, self.tile // 3))

    def _predict(self, clip: Clip, tile: tuple[Tensor, Tensor], timestep: int) -> Tensor:
        """The velocity (4,T,h,w) of a tile: from the negative text's towards and beyond the caption's."""
        scale = self.config.guidance_scale
        texts = [clip.positive] if scale == 1.0 else [clip.negative, clip.positive]
        x, frames = (part[None].to(clip.positive.dtype) for part in tile)
        at_once = len(texts) if x.shape[-2] * x.shape[-1] <= BOTH_PIXELS else 1
        velocities: list[Tensor] = []
        for some in torch.stack(texts).split(at_once):
            self.check()
            noisy, seen = (part.expand(len(some), *part.shape[1:]) for part in (x, frames))
            velocities += self.denoiser(noisy, timestep, some, seen, self.config.noise_level).float().unbind(0)
        return velocities[0] + scale * (velocities[-1] - velocities[0])


class ShotNoise:
    """The noise of a shot, decided by the seed and each frame's number alone, made on the CPU.

    Args:
        config: the seed, and whether noise is rescheduled over which windows.
        size: height and width of a frame.
        part: rows and columns of it that are wanted.
    """

    def __init__(self, config: DiffVsrConfig, size: tuple[int, int], part: tuple[slice, slice] = _WHOLE) -> None:
        self._config, self._size, self._part = config, size, part

    def cut(self, rows: slice, columns: slice) -> "ShotNoise":
        """The noise of a part of the frame."""
        return type(self)(self._config, self._size, (rows, columns))

    def latents(self, frames: range) -> Tensor:
        """What the latents of these frames begin as, (4,T,h,w)."""
        return self._draw("latents", self._config.noise.indices(frames), 4)

    def low_res(self, frames: range) -> Tensor:
        """What is added to these low-resolution frames, (3,T,h,w)."""
        return self._draw("frames", frames, 3)

    def _draw(self, kind: str, indices: Sequence[int], channels: int) -> Tensor:
        drawn = frame_noise(self._config.seed, kind, indices, (channels, *self._size))
        return drawn[..., self._part[0], self._part[1]].transpose(0, 1).contiguous()  # (T,C,h,w) -> (C,T,h,w)
