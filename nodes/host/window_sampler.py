"""Windows of a long LATENT through ComfyUI's samplers, with one progress bar and a live preview."""

from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from .conditioning import Conditioning, slice_conditioning
from .progress import check_cancelled
from .sampling import SteeredSampler, Steering

SAMPLERS: tuple[str, ...] = tuple(comfy.samplers.KSampler.SAMPLERS)
SCHEDULERS: tuple[str, ...] = tuple(comfy.samplers.KSampler.SCHEDULERS)

_SEEDS = 2**64


@dataclass(frozen=True)
class SampleConfig:
    """How to sample: names of the host, the strength of the prompts, the share of noise to start from (0 to 1)."""

    sampler: str
    scheduler: str
    steps: int
    cfg: float
    denoise: float
    seed: int


class WindowSampler:
    """Samples one window after the other with a model of the host.

    Args:
        model: a MODEL.
        prompts: the positive and the negative CONDITIONING of all frames.
        config: of sampling.
        windows: how many there will be.
        total: frames of the whole.
    """

    def __init__(self, model: Any, prompts: list[Conditioning], config: SampleConfig, windows: int, total: int) -> None:
        self._model, self._prompts, self._config, self._total = model, prompts, config, total
        self._sigmas = _sigmas(model, config)
        self._sampler = comfy.samplers.sampler_object(config.sampler)
        self._bar = comfy.utils.ProgressBar(max(len(self._sigmas) - 1, 1) * windows)
        self._previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        self._done = 0

    def sample(self, place: range, latent: dict[str, Any], noise: Tensor, steering: Steering | None) -> Tensor:
        """Denoise a window.

        Args:
            place: its frames in the whole.
            latent: LATENT of these frames.
            noise: of the shape of its samples.
            steering: what is done between steps, or nothing.

        Returns:
            Samples of that shape, on the host's device for results.

        Raises:
            SettingError: from ``SteeredSampler``.
        """
        if len(self._sigmas) == 0:  # a denoise of 0
            return latent["samples"]
        sampler = self._sampler if steering is None else SteeredSampler(self._sampler, steering)
        positive, negative = slice_conditioning(self._prompts, place, self._total)
        samples = comfy.samplers.sample(
            self._model, noise, positive, negative, self._config.cfg, self._model.load_device, sampler, self._sigmas,
            self._model.model_options, latent_image=latent["samples"], denoise_mask=latent.get("noise_mask"),
            callback=self._show, disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=(self._config.seed + place.start) % _SEEDS,
        )  # fmt: skip
        return samples.to(comfy.model_management.intermediate_device())

    def _show(self, step: int, denoised: Tensor, x: Tensor, steps: int) -> None:
        check_cancelled()
        self._done += 1
        previewer = self._previewer
        picture = previewer.decode_latent_to_preview_image("JPEG", denoised) if previewer else None
        self._bar.update_absolute(self._done, preview=picture)


def fit_latent(model: Any, latent: dict[str, Any]) -> dict[str, Any]:
    """A LATENT with the channels and dimensions of the model, where an empty one was made for another."""
    return {**latent, "samples": comfy.sample.fix_empty_latent_channels(model, latent["samples"])}


def make_noise(latent: dict[str, Any], seed: int) -> Tensor:
    """The noise that the host's own samplers would start from."""
    return comfy.sample.prepare_noise(latent["samples"], seed, latent.get("batch_index"))


def _sigmas(model: Any, config: SampleConfig) -> Tensor:
    scheduled = comfy.samplers.KSampler(
        model, config.steps, model.load_device, config.sampler, config.scheduler, config.denoise, model.model_options
    )
    return torch.as_tensor(scheduled.sigmas)
