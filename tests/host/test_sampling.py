"""Steering ComfyUI's own samplers, in this process, with a small random model of the host's classes."""

import importlib
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.diffusion.config import GuidanceConfig
from textovsr.core.diffusion.guidance import warping_loss
from textovsr.core.diffusion.steering import GuidanceSteps, MotionSteering
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.tests.helpers.diffusion import conditioning, save_checkpoint

FRAMES, SIDE = 3, 8


@pytest.fixture(scope="module")
def model(host: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small SD1.5, as CheckpointLoaderSimple gives it."""
    import comfy.sd

    folder = tmp_path_factory.mktemp("checkpoints")
    loaded = comfy.sd.load_checkpoint_guess_config(str(folder / save_checkpoint(folder)), output_clip=False)
    return loaded[0]


@pytest.fixture(scope="module")
def ours(pack: ModuleType) -> SimpleNamespace:
    """Our modules that touch the host's samplers."""
    names = {"sampling": "nodes.host.sampling", "windows": "nodes.host.window_sampler"}
    names["conditioning"] = "nodes.host.conditioning"
    return SimpleNamespace(**{key: importlib.import_module(f"{pack.__name__}.{name}") for key, name in names.items()})


def still(frames: int = FRAMES, side: int = SIDE) -> ClipMotion:
    """Nothing moves, everything is seen."""
    flow, mask = torch.zeros(frames - 1, 2, side, side), torch.zeros(frames - 1, 1, side, side)
    return ClipMotion(flow, flow, mask, mask)


def steering(form: Any = "corrected", steps: GuidanceSteps | None = None, scale: float | None = None) -> MotionSteering:
    scale = (
        scale if scale is not None else {"corrected": 1.0, "reference": 10 * SIDE**2 / 64**2}[form]
    )  # published for sides of 64
    return MotionSteering(still(), GuidanceConfig(form, scale), steps or GuidanceSteps())


def tensors(seed: int = 0, frames: int = FRAMES) -> tuple[Tensor, Tensor]:
    """Latents and noise."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, 4, SIDE, SIDE, generator=generator).repeat(frames, 1, 1, 1)
    return latents, torch.randn(frames, 4, SIDE, SIDE, generator=generator)


def sample(
    ours: SimpleNamespace, model: Any, steered: MotionSteering | None, mask: Tensor | None = None, **changed: Any
) -> Tensor:
    settings = {"sampler": "euler", "scheduler": "normal", "steps": 4, "cfg": 2.0, "denoise": 1.0, "seed": 3} | changed
    config = ours.windows.SampleConfig(**settings)
    latents, noise = tensors()
    sampler = ours.windows.WindowSampler(model, [conditioning(1), conditioning(2)], config, 1, FRAMES)
    latent = {"samples": latents} if mask is None else {"samples": latents, "noise_mask": mask}
    with torch.inference_mode():  # as the host runs its nodes
        return sampler.sample(range(FRAMES), latent, noise, steered)


def test_without_steering_it_is_the_hosts_sampler(ours: SimpleNamespace, model: Any) -> None:
    import comfy.sample

    latents, noise = tensors()
    arguments = (4, 2.0, "euler", "normal", conditioning(1), conditioning(2), latents)
    expected = comfy.sample.sample(model, noise, *arguments, seed=3, disable_pbar=True)
    assert torch.equal(sample(ours, model, None), expected)
    assert torch.equal(sample(ours, model, steering(scale=0.0)), expected)


@pytest.mark.parametrize("form", ["corrected", "reference"])
def test_frames_agree_more(form: str, ours: SimpleNamespace, model: Any) -> None:
    plain, guided = sample(ours, model, None), sample(ours, model, steering(form))
    assert warping_loss(guided, still()) < 0.9 * warping_loss(plain, still())


@pytest.mark.filterwarnings("ignore")  # of the host and of what its samplers use
def test_every_sampler_of_the_host_can_be_steered(ours: SimpleNamespace, model: Any) -> None:
    failed = {}
    for name in ours.windows.SAMPLERS:
        settings = {"sampler": name, "steps": 3, "cfg": 1.0}
        if name == "dpm_adaptive":  # chooses its own steps: many, for all of the noise
            settings["denoise"] = 0.3
        plain, guided = sample(ours, model, None, **settings), sample(ours, model, steering(), **settings)
        losses = warping_loss(plain, still()), warping_loss(guided, still())
        # These extrapolate, or choose their own steps: what a random network makes of it may be anything.
        wild = name == "dpm_adaptive" or name.endswith("_cfg_pp")
        if not torch.isfinite(guided).all() or torch.equal(plain, guided) or not (wild or losses[1] < losses[0]):
            failed[name] = losses
    assert failed == {}


def test_only_the_steps_that_were_asked_for_are_steered(ours: SimpleNamespace, model: Any) -> None:
    seen: list[int] = []

    class Spy(MotionSteering):
        def denoised(self, latents: Tensor, step: int, sigma: float) -> Tensor:
            better = super().denoised(latents, step, sigma)
            if better is not latents:
                seen.append(step)
            return better

    sample(ours, model, Spy(still(), GuidanceConfig(), GuidanceSteps(1, 6, 2)), steps=8)
    assert seen == [1, 3, 5]


def test_the_reference_mode_names_the_samplers_that_it_goes_with(ours: SimpleNamespace, model: Any) -> None:
    with pytest.raises(Exception, match=r"Expected for the reference mode one of the samplers .*euler.* got .*heun"):
        sample(ours, model, steering("reference"), sampler="heun")


def test_the_reference_mode_refuses_a_mask(ours: SimpleNamespace, model: Any) -> None:
    with pytest.raises(Exception, match="no noise mask"):
        sample(ours, model, steering("reference"), mask=torch.ones(1, 1, SIDE, SIDE))


def test_a_mask_keeps_what_is_outside(ours: SimpleNamespace, model: Any) -> None:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., : SIDE // 2] = 1
    found = sample(ours, model, steering(), mask=mask)
    assert torch.allclose(found[..., SIDE // 2 :], tensors()[0][..., SIDE // 2 :], atol=1e-4)
    assert not torch.allclose(found[..., : SIDE // 2], tensors()[0][..., : SIDE // 2], atol=1e-2)


def test_nothing_to_denoise_is_given_back(ours: SimpleNamespace, model: Any) -> None:
    assert torch.equal(sample(ours, model, steering(), denoise=0.0), tensors()[0])


def test_the_published_step_is_done_after_each_step(ours: SimpleNamespace, model: Any) -> None:
    """Against Euler's method written out, with the guidance between the steps."""
    import comfy.samplers

    guide = steering("reference")

    class ByHand(comfy.samplers.Sampler):
        def sample(
            self, model_wrap: Any, sigmas: Tensor, extra_args: Any, callback: Any, noise: Tensor, *_: Any
        ) -> Any:
            x = model_wrap.inner_model.model_sampling.noise_scaling(sigmas[0], noise, torch.zeros_like(noise), True)
            for step, (before, after) in enumerate(pairwise(sigmas)):
                denoised = model_wrap(x, before.expand(FRAMES), **extra_args)
                x = x + (x - denoised) / before * (after - before)
                x = guide.stepped(x, step, (float(before), float(after)))
            return x

    def run(sampler: Any) -> Tensor:
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 3)
        noise = tensors()[1]
        arguments = (model.load_device, sampler, sigmas, model.model_options, torch.zeros_like(noise))
        return comfy.samplers.sample(model, noise, conditioning(1), conditioning(2), 2.0, *arguments, seed=3)

    steered = ours.sampling.SteeredSampler(comfy.samplers.sampler_object("euler"), guide)
    torch.testing.assert_close(run(steered), run(ByHand()), rtol=1e-4, atol=1e-4)


class TestSliceConditioning:
    """What there is for each frame is cut; what there is once is not."""

    def test_embeddings_images_and_what_is_shared(self, ours: SimpleNamespace) -> None:
        images, once = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 4, 4), torch.zeros(1, 77, 8)
        video = torch.arange(6.0).view(1, 1, 6, 1, 1)
        pooled = [torch.arange(6.0), "text"]
        positive = [[once, {"concat_image": images, "video": video, "list": pooled, "strength": 0.5}]]
        negative = [[torch.arange(6.0).view(6, 1, 1), {}]]
        cut, other = ours.conditioning.slice_conditioning([positive, negative], range(2, 5), 6)
        assert cut[0][0] is once
        assert cut[0][1]["concat_image"][:, 0, 0, 0].tolist() == [2, 3, 4]
        assert cut[0][1]["video"].flatten().tolist() == [2, 3, 4]
        assert cut[0][1]["list"][0].tolist() == [2, 3, 4]
        assert cut[0][1]["list"][1] == "text"
        assert other[0][0].flatten().tolist() == [2, 3, 4]
        assert positive[0][1]["concat_image"] is images

    def test_controlnets_see_their_frames_and_stay_one_object(self, ours: SimpleNamespace) -> None:
        from comfy.controlnet import ControlNet

        first, second = ControlNet(torch.nn.Identity()), ControlNet(torch.nn.Identity())
        first.set_cond_hint(torch.arange(6.0).view(6, 1, 1, 1), 0.5)
        second.set_cond_hint(torch.full((1, 3, 4, 4), 7.0)).set_previous_controlnet(first)
        prompts = [[[torch.zeros(1, 2, 3), {"control": second}]] for _ in range(2)]
        (positive, negative) = ours.conditioning.slice_conditioning(prompts, range(4, 6), 6)
        control = positive[0][1]["control"]
        assert control is negative[0][1]["control"]
        assert control is not second
        assert control.cond_hint_original is second.cond_hint_original
        assert control.previous_controlnet.cond_hint_original.flatten().tolist() == [4, 5]
        assert control.previous_controlnet.strength == 0.5
        assert first.cond_hint_original.shape[0] == 6
