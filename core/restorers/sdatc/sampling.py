"""SDATC's sampling of a clip: respaced DDPM in tiles, guided by the optical flow (eq. 1 to 3, 12 and 13)."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ....models.sdatc.denoiser import SdatcDenoiser
from ...diffusion.config import GuidanceConfig
from ...diffusion.frame_noise import BEGINNING
from ...diffusion.guidance import guided, warping_gradient
from ...diffusion.samplers import sample_ddpm
from ...diffusion.schedules import Schedule, respaced, trained_schedule
from ...diffusion.tiles import Tiling, average_tiles
from ...motion.clip_motion import ClipMotion
from ...tiles import Check
from ..parts import TellStep, untold
from .config import FlowGuidance, SdatcConfig


@dataclass(frozen=True)
class Clip:
    """What is sampled together.

    Attributes:
        condition: (T,4,h,w), scaled latents of what the DCM made, float32, on the denoiser's device.
        text: (T,K,D), what is said to the denoiser, in its dtype.
        motion: of these frames at the latents' size; None is not guided.
        noise: given the number of a step made, or ``BEGINNING``, makes noise shaped as ``condition``.
        known: (K,4,h,w), clean scaled latents of the first K frames, which are kept; may be none.
    """

    condition: Tensor
    text: Tensor
    motion: ClipMotion | None
    noise: Callable[[int], Tensor]
    known: Tensor


@dataclass(frozen=True)
class ClipSampler:
    """Samples clips.

    Attributes:
        denoiser: on its device.
        tiling: of every step.
        at_once: frames that go through the denoiser together; they do not know of each other there.
        config: steps, start, guidance.
        check: called before every piece of a step; raises to cancel.
        tell: called after every step.
    """

    denoiser: SdatcDenoiser
    tiling: Tiling
    at_once: int
    config: SdatcConfig
    check: Check
    tell: TellStep = untold

    def sample(self, clip: Clip) -> Tensor:
        """Clean latents, (T,4,h,w), scaled."""
        trained = trained_schedule()
        schedule = respaced(trained, self.config.steps)
        first = clip.noise(BEGINNING)
        x = first if self.config.start == "noise" else trained.add_noise(clip.condition, first, trained.length - 1)
        x = _with_known(clip, x, schedule, schedule.length)
        index = {timestep: number for number, timestep in enumerate(schedule.timesteps)}
        done = itertools.count(1)

        def denoise(x: Tensor, timestep: int) -> Tensor:
            return self._led(clip, (x, self._predict(clip, x, timestep)), schedule, index[timestep])

        def after(x: Tensor, log_variance: float) -> Tensor:
            self.check()
            made = next(done)
            self.tell(made, self.config.steps)
            return _with_known(clip, self._moved(clip, x, log_variance), schedule, schedule.length - made)

        return sample_ddpm(denoise, x, schedule, clip.noise, after)

    def _predict(self, clip: Clip, x: Tensor, timestep: int) -> Tensor:
        dtype = clip.text.dtype

        def part(rows: slice, columns: slice) -> Tensor:
            predicted = []
            for some in torch.arange(len(x)).split(self.at_once):
                self.check()
                frames = slice(int(some[0]), int(some[-1]) + 1)
                z, condition = (part[frames, :, rows, columns].to(dtype) for part in (x, clip.condition))
                predicted.append(self.denoiser(z, timestep, clip.text[frames], condition).float())
            return torch.cat(predicted)

        return average_tiles(part, (x.shape[-2], x.shape[-1]), self.tiling)

    def _led(self, clip: Clip, pair: tuple[Tensor, Tensor], schedule: Schedule, index: int) -> Tensor:
        """The noise that belongs to the guided prediction, of noisy latents and the noise predicted in them."""
        x, noise = pair
        guidance = self.config.guidance
        if clip.motion is None or guidance is None or guidance.place != "prediction":
            return noise
        sigma = float(schedule.sigmas[index])
        clean = schedule.predict_clean(x, noise, index)
        settings = GuidanceConfig(scale=guidance.scale, chunk=guidance.chunk)
        # clean = x / sqrt(abar) - sigma * noise: what the prediction gains, the noise loses, over sigma.
        return noise + (clean - guided(clean, clip.motion, settings, sigma)) / sigma

    def _moved(self, clip: Clip, x: Tensor, log_variance: float) -> Tensor:
        guidance = self.config.guidance
        if clip.motion is None or guidance is None or guidance.place != "step":
            return x
        return equation_step(x, clip.motion, log_variance, guidance)


def equation_step(x: Tensor, motion: ClipMotion, log_variance: float, guidance: FlowGuidance) -> Tensor:
    """Eq. 13: x - s variance grad E, where E is the warping error of eq. 12, a mean over each frame's elements.

    With the logarithm, which is negative, x - s abs(log variance) grad E, as MGLD-VSR does.

    Args:
        x: (T,4,h,w), noisy, after a step.
        motion: of these frames.
        log_variance: of the step, see ``schedules.Schedule``.
        guidance: scale, and which of the two.
    """
    gradient = warping_gradient(x, motion, "corrected", guidance.chunk) / x[0].numel()
    strength = math.exp(log_variance) if guidance.by == "var" else abs(log_variance)
    return x - guidance.scale * strength * gradient


def _with_known(clip: Clip, x: Tensor, schedule: Schedule, left: int) -> Tensor:
    """The latents, of which those that are known have the noise that is to be there with ``left`` steps to go."""
    count = len(clip.known)
    if not count:
        return x
    known = clip.known.to(x)
    if left:
        known = schedule.add_noise(known, clip.noise(BEGINNING)[:count], left - 1)
    return torch.cat([known, x[count:]])
