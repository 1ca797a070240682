"""Sampling with ComfyUI's own samplers and schedulers, steered from step to step."""

import math
from typing import Any, Protocol

import comfy.model_sampling
import comfy.samplers
from torch import Tensor

from ...core.errors import SettingError

_SINGLE = ("ddpm", "euler", "euler_ancestral", "lcm", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "lms")
"""Samplers that ask the network once a step, about the very latents that they go on from."""

_SAME = 1e-4
"""Two noise levels that differ by less, relative to each other, are the same step."""


class Steering(Protocol):
    """What is done to the latents of some frames between the host's steps; latents as the network sees them."""

    after_steps: bool
    """Whether ``stepped`` does anything."""

    def denoised(self, latents: Tensor, step: int, sigma: float) -> Tensor:
        """Improve what the network believes to be behind the noise.

        Args:
            latents: (T,C,h,w) or (B,C,T,h,w), the prediction.
            step: of the sampler, from 0.
            sigma: deviation of the noise over that of the data; may be infinite.
        """

    def stepped(self, latents: Tensor, step: int, sigmas: tuple[float, float]) -> Tensor:
        """Improve the noisy latents after a step.

        Args:
            latents: as above, at the second of ``sigmas``.
            step: that was done.
            sigmas: before and after it.
        """


class SteeredSampler(comfy.samplers.Sampler):
    """A sampler of the host or of another pack that is steered; it takes its place wherever a SAMPLER is wanted.

    Raises:
        SettingError: the latents are to be improved after each step, and the sampler does not let them.
    """

    def __init__(self, inner: comfy.samplers.Sampler, steering: Steering) -> None:
        name = getattr(getattr(inner, "sampler_function", None), "__name__", type(inner).__name__)
        if steering.after_steps and name.removeprefix("sample_") not in _SINGLE:
            raise SettingError(
                f"Expected for the reference mode one of the samplers {', '.join(_SINGLE)}, got {name}; choose one of "
                "these, or the corrected mode, which goes with every sampler."
            )
        self._inner, self._steering = inner, steering

    def sample(
        self, model_wrap: Any, sigmas: Tensor, extra_args: dict[str, Any], callback: Any, noise: Tensor,
        latent_image: Tensor | None = None, denoise_mask: Tensor | None = None, disable_pbar: bool = False,
    ) -> Tensor:  # fmt: skip
        """As the host calls it.

        Raises:
            SettingError: latents cannot be improved after each step of this model, or under a mask.
        """
        if self._steering.after_steps and (denoise_mask is not None or _is_straight(model_wrap)):
            raise SettingError(
                "Expected for the reference mode a model that adds noise, such as Stable Diffusion, and no noise mask; "
                "choose the corrected mode, which goes with every model."
            )
        steered = _SteeredGuider(model_wrap, self._steering, sigmas)
        rest = (latent_image, denoise_mask, disable_pbar)
        return steered.finish(self._inner.sample(steered, sigmas, extra_args, callback, noise, *rest))


class _SteeredGuider:
    """Stands for the host's guider, predicts as it does, and steers."""

    def __init__(self, guider: Any, steering: Steering, sigmas: Tensor) -> None:
        self._guider, self._steering = guider, steering
        self._sigmas = [float(sigma) for sigma in sigmas]
        self._done = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guider, name)

    def __call__(self, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sigma = float(timestep.max())
        step = self._step(sigma)
        if step == self._done + 1:
            # The sampler holds on to this very tensor: what is written into it is where its next step starts.
            self._after(x, self._done)
            self._done = step
        return self._steering.denoised(self._guider(x, timestep, *args, **kwargs), step, self._ratio(sigma))

    def finish(self, samples: Tensor) -> Tensor:
        """Steer after the last step, too."""
        self._after(samples, len(self._sigmas) - 2)
        return samples

    def _after(self, x: Tensor, step: int) -> None:
        if self._steering.after_steps:
            x.copy_(self._steering.stepped(x, step, (self._sigmas[step], self._sigmas[step + 1])))

    def _step(self, sigma: float) -> int:
        """The step that begins at a noise level or has it behind."""
        begun = [i for i, start in enumerate(self._sigmas[:-1]) if sigma <= start * (1 + _SAME)]
        return begun[-1] if begun else 0

    def _ratio(self, sigma: float) -> float:
        """Deviation of the noise over that of the data."""
        if not _is_straight(self._guider):
            return sigma
        return sigma / (1 - sigma) if sigma < 1 else math.inf


def _is_straight(guider: Any) -> bool:
    """Whether the model is a rectified flow, which mixes data and noise; others add noise to data."""
    return isinstance(guider.inner_model.model_sampling, comfy.model_sampling.CONST)
