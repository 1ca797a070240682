"""STAR's sampling of a clip: DPM-Solver++ on predicted velocities, led by the text, in windows and tiles."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....models.star.chunks import Chunks
from ...diffusion.dpm_solver import sample_dpmpp_2m_sde
from ...diffusion.frame_noise import BEGINNING
from ...diffusion.log_snr import LAST, Levels, alpha_sigma, noise_levels
from ...diffusion.tiles import average_tiles
from ...tiles import Check
from ..parts import TellStep, untold
from .canvas import LATENT, latent_tiling
from .config import StarConfig
from .windows import kept_frames, step_windows


@dataclass(frozen=True)
class Clip:
    """What is sampled together.

    Attributes:
        latents: (T,4,h,w), scaled, of the enlarged low-resolution frames, float32, on the denoiser's device.
        positive: (K,D) in the denoiser's dtype: what the clip shall show.
        negative: (K,D), what it shall not.
        noise: given the number of a step made, or ``BEGINNING``, makes noise shaped as ``latents``.
    """

    latents: Tensor
    positive: Tensor
    negative: Tensor
    noise: Callable[[int], Tensor]


@dataclass(frozen=True)
class ClipSampler:
    """Samples clips.

    Attributes:
        denoiser: (x, timestep, text, hint, chunks) -> velocity, see ``models.star.net``.
        side: of the tiles of every step in pixels, a multiple of 64; 0 is the whole frame.
        config: levels, guidance, windows.
        check: called before every tile; raises to cancel.
        chunks: what goes through a layer of the denoiser at once.
        tell: called after every step.
    """

    denoiser: nn.Module
    side: int
    config: StarConfig
    check: Check
    chunks: Chunks
    tell: TellStep = untold

    def sample(self, clip: Clip) -> Tensor:
        """Clean latents (T,4,h,w), scaled: from those of the low resolution with the noise of the last level."""
        levels = noise_levels(self.config.mode, self.config.steps)
        alpha, sigma = alpha_sigma(LAST)
        x = levels.sigmas[0] * (alpha * clip.latents + sigma * clip.noise(BEGINNING))

        def predict(x: Tensor, step: int) -> Tensor:
            clean = self._clean(clip, x, levels, step)
            self.tell(step + 1, len(levels.timesteps))
            return clean

        return sample_dpmpp_2m_sde(predict, x, levels.sigmas, clip.noise)

    def _clean(self, clip: Clip, x: Tensor, levels: Levels, step: int) -> Tensor:
        """What the noisy latents of a step hold: each frame from the window in whose middle it is."""
        x = x / math.sqrt(levels.sigmas[step] ** 2 + 1)
        alpha, sigma = alpha_sigma(levels.timesteps[step])
        windows, clean = step_windows(len(x), self.config.window), torch.empty_like(x)
        for window, kept in zip(windows, kept_frames(windows), strict=True):
            noisy = x[window.start : window.stop]
            velocity = self._velocity(clip, noisy, clip.latents[window.start : window.stop], levels.timesteps[step])
            inner = slice(kept.start - window.start, kept.stop - window.start)
            clean[kept.start : kept.stop] = alpha * noisy[inner] - sigma * velocity[inner]
        return clean

    def _velocity(self, clip: Clip, x: Tensor, hint: Tensor, timestep: int) -> Tensor:
        """The guided velocity (F,4,h,w) of a window."""
        texts = [clip.positive] if self.config.guidance_scale == 1.0 else [clip.positive, clip.negative]

        def part(rows: slice, columns: slice) -> Tensor:
            tiles = x[..., rows, columns], hint[..., rows, columns]
            return torch.stack([self._predict(*tiles, timestep, text) for text in texts])

        size = x.shape[-2], x.shape[-1]
        if not self.side or self.side >= LATENT * max(size):
            found = part(slice(None), slice(None))
        else:
            found = average_tiles(part, size, latent_tiling(self.side))
        return guided_velocity(found[0], found[-1], self.config)

    def _predict(self, x: Tensor, hint: Tensor, timestep: int, text: Tensor) -> Tensor:
        self.check()
        noisy, seen = (part.transpose(0, 1)[None].to(text.dtype) for part in (x, hint))  # (F,4,h,w) -> (1,4,F,h,w)
        velocity: Tensor = self.denoiser(noisy, timestep, text[None], seen, self.chunks)
        return velocity[0].transpose(0, 1).float()


def guided_velocity(positive: Tensor, negative: Tensor, config: StarConfig) -> Tensor:
    """From the negative text's velocity towards the caption's and beyond, its deviation partly brought back.

    Guidance enlarges the deviation; ``config.rescale`` of the result has that of the caption's (Lin et al., WACV 2024,
    section 3.4).
    """
    if config.guidance_scale == 1.0:
        return positive
    velocity = negative + config.guidance_scale * (positive - negative)
    ratio = positive.std() / (velocity.std() + 1e-12)
    return velocity * (config.rescale * ratio + (1.0 - config.rescale))
