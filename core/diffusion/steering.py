"""Motion guidance as something that a sampler can be steered by, whatever the sampler."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SettingError
from ..motion.clip_motion import ClipMotion
from .config import GuidanceConfig
from .guidance import guided, published_step
from .schedules import posterior_log_variance

LAST_STEP = 10_000
"""Later than any step of a sampler."""


@dataclass(frozen=True)
class GuidanceSteps:
    """Which steps of a sampler are guided: from ``first`` on, before ``end``, one in ``every``.

    Raises:
        SettingError: one of them is out of range.
    """

    first: int = 0
    end: int = LAST_STEP
    every: int = 1

    def __post_init__(self) -> None:
        if self.first < 0 or self.end < 0 or self.every < 1:
            raise SettingError(
                f"Expected steps from 0 on and every one or more, got {self.first} to {self.end}, every {self.every}."
            )

    def __contains__(self, step: int) -> bool:
        return self.first <= step < self.end and (step - self.first) % self.every == 0


class MotionSteering:
    """Moves the latents of a clip so that frames agree along its motion.

    Args:
        motion: of the frames that are sampled, at the size of their latents.
        config: form and strength. ``corrected`` improves the predictions, ``reference`` the noisy latents after a step.
        steps: the steps at which that is done.
    """

    def __init__(self, motion: ClipMotion, config: GuidanceConfig, steps: GuidanceSteps) -> None:
        self._motion, self._config, self._steps = motion, config, steps
        self.after_steps = config.form == "reference"
        """Whether ``stepped`` does anything; if not, ``denoised`` does."""

    def denoised(self, latents: Tensor, step: int, sigma: float) -> Tensor:
        """Guide a prediction, see ``guided``.

        Args:
            latents: (T,C,h,w), (T,C,1,h,w) or (B,C,T,h,w), of about unit variance.
            step: of the sampler, from 0.
            sigma: deviation of the noise over that of the data.
        """
        if self.after_steps or step not in self._steps:
            return latents
        return self._by_clip(latents, lambda clip, motion: guided(clip, motion, self._config, sigma))

    def stepped(self, latents: Tensor, step: int, sigmas: tuple[float, float]) -> Tensor:
        """Guide noisy latents after a step, see ``published_step``.

        Args:
            latents: as above plus noise of the second of ``sigmas``; not scaled to unit variance.
            step: that was done, from 0.
            sigmas: deviation of the noise before and after it.
        """
        if not self.after_steps or step not in self._steps:
            return latents
        size = math.sqrt(1.0 + sigmas[1] ** 2)
        variance = posterior_log_variance(*sigmas)
        unit = self._by_clip(latents / size, lambda clip, motion: published_step(clip, motion, variance, self._config))
        return unit * size

    def _by_clip(self, latents: Tensor, improve: Callable[[Tensor, ClipMotion], Tensor]) -> Tensor:
        motion = self._motion.to(latents.device)
        if latents.ndim == 4:
            return improve(latents, motion)
        if latents.shape[2] == 1:  # (T,C,1,h,w), pictures of a video model
            return improve(latents[:, :, 0], motion)[:, :, None]
        # (B,C,T,h,w) -> B times (T,C,h,w)
        return torch.stack([improve(clip.movedim(1, 0), motion).movedim(0, 1) for clip in latents])
