"""MGLD-VSR's sampling of a clip: noise, tiled steps, guidance by the motion."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...diffusion.config import GuidanceConfig
from ...diffusion.guidance import guided, published_step
from ...diffusion.samplers import sample_ddpm
from ...diffusion.schedules import Schedule, respaced, trained_schedule
from ...diffusion.tiles import Tiling, average_tiles
from ...motion.clip_motion import ClipMotion
from ...overlaps import rescheduled_indices
from ...tiles import Check
from ..parts import TellStep, untold
from .config import MgldConfig

BEGINNING, OF_LATENTS = -1, -2
"""Instead of the number of a step: the noise that sampling begins with, and that of the input's latents."""


@dataclass(frozen=True)
class Clip:
    """What is sampled together.

    Attributes:
        latents: (T,4,h,w), scaled, of the enlarged low-resolution frames, float32, on the denoiser's device.
        context: (T,K,D), what is said to the denoiser, in its dtype.
        motion: of these frames at the latents' size; None is not guided.
        noise: given the number of a step made, or ``BEGINNING``, makes noise shaped as ``latents``.
    """

    latents: Tensor
    context: Tensor
    motion: ClipMotion | None
    noise: Callable[[int], Tensor]


@dataclass(frozen=True)
class ClipSampler:
    """Samples clips.

    Attributes:
        denoiser: (x, z, timestep, context) -> noise, see ``models.mgld.denoiser``.
        tiling: of every step.
        steps: how many.
        guidance: None is none.
        check: called before every tile; raises to cancel.
        tell: called after every step.
    """

    denoiser: nn.Module
    tiling: Tiling
    steps: int
    guidance: GuidanceConfig | None
    check: Check
    tell: TellStep = untold

    def sample(self, clip: Clip) -> Tensor:
        """Clean latents, (T,4,h,w), scaled: from those of the low resolution with the noise of the last step."""
        trained = trained_schedule()
        schedule = respaced(trained, self.steps)
        x = trained.add_noise(clip.latents, clip.noise(BEGINNING), trained.length - 1)
        index = {timestep: number for number, timestep in enumerate(schedule.timesteps)}

        done = itertools.count(1)

        def denoise(x: Tensor, timestep: int) -> Tensor:
            noise = self._predict(clip, x, timestep)
            return self._corrected(clip, (x, noise), schedule, index[timestep])

        def after(x: Tensor, log_variance: float) -> Tensor:
            self.check()
            self.tell(next(done), self.steps)
            if clip.motion is None or self.guidance is None or self.guidance.form != "reference":
                return x
            return published_step(x, clip.motion, log_variance, self.guidance)

        return sample_ddpm(denoise, x, schedule, clip.noise, after)

    def _predict(self, clip: Clip, x: Tensor, timestep: int) -> Tensor:
        dtype = clip.context.dtype

        def part(rows: slice, columns: slice) -> Tensor:
            self.check()
            noisy, z = x[..., rows, columns].to(dtype), clip.latents[..., rows, columns].to(dtype)
            return self.denoiser(noisy, z, timestep, clip.context).float()

        return average_tiles(part, (x.shape[-2], x.shape[-1]), self.tiling)

    def _corrected(self, clip: Clip, pair: tuple[Tensor, Tensor], schedule: Schedule, index: int) -> Tensor:
        """The noise that belongs to the guided prediction, of noisy latents and the noise predicted in them."""
        x, noise = pair
        if clip.motion is None or self.guidance is None or self.guidance.form != "corrected":
            return noise
        sigma = float(schedule.sigmas[index])
        clean = schedule.predict_clean(x, noise, index)
        # clean = x / sqrt(abar) - sigma * noise: what the prediction gains, the noise loses, over sigma.
        return noise + (clean - guided(clean, clip.motion, self.guidance, sigma)) / sigma


def clip_noise(config: MgldConfig, frames: range, size: Sequence[int], device: torch.device) -> Callable[[int], Tensor]:
    """The noise of some frames of a shot at every step, decided by the seed and each frame's number alone.

    Args:
        config: seed; and whether noise is rescheduled, over the windows that it names.
        frames: numbers in the shot.
        size: (C,h,w) of a frame's latents.
        device: where it goes; it is made on the CPU, so that it is the same everywhere.

    Returns:
        Given the number of a step, (T,C,h,w) float32.
    """
    indices = noise_indices(config, frames)

    def draw(step: int) -> Tensor:
        drawn = {index: _draw(config.seed, step, index, size) for index in indices}
        return torch.stack([drawn[index] for index in indices]).to(device)

    return draw


def noise_indices(config: MgldConfig, frames: range) -> tuple[int, ...]:
    """Which noise each frame gets: that of a frame of the first window, or its own."""
    if not config.reschedule:
        return tuple(frames)
    stride = config.window - config.overlap
    # Whole windows only: a last one that is moved back would change what comes before.
    windows = max(-(-(frames.stop - config.window) // stride), 0)
    total = config.window + windows * stride
    return rescheduled_indices(total, config.window, config.overlap, config.seed)[frames.start : frames.stop]


def _draw(seed: int, step: int, index: int, size: Sequence[int]) -> Tensor:
    digest = hashlib.sha256(f"{seed} {step} {index}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    return torch.randn(*size, generator=generator)
