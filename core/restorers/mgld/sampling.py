"""MGLD-VSR's sampling of a clip: noise, tiled steps, guidance by the motion."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from ...diffusion.config import GuidanceConfig
from ...diffusion.frame_noise import BEGINNING
from ...diffusion.guidance import guided, published_step
from ...diffusion.samplers import sample_ddpm
from ...diffusion.schedules import Schedule, respaced, trained_schedule
from ...diffusion.tiles import Tiling, average_tiles
from ...motion.clip_motion import ClipMotion
from ...tiles import Check
from ..parts import TellStep, untold


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
