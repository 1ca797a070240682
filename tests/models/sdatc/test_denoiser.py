"""SDATC's denoiser: new, it is Stable Diffusion's; trained, only what is ours has changed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import SettingError, ShapeError
from textovsr.models.sdatc.config import ControlConfig, SdatcNetConfig
from textovsr.models.sdatc.denoiser import SdatcDenoiser
from textovsr.tests.helpers.sdatc import TEXT, TINY, noise, stirred, tiny_unet

COPY = replace(TINY, control=ControlConfig("copy"))


def inputs(frames: int = 2, size: tuple[int, int] = (8, 12)) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, text, condition."""
    return noise(1, frames, 4, *size), noise(2, frames, 7, TEXT), noise(3, frames, 4, *size)


@pytest.mark.parametrize("config", [TINY, COPY], ids=["light", "copy"])
@torch.inference_mode()
def test_a_new_one_predicts_what_stable_diffusion_does(config: SdatcNetConfig) -> None:
    z, text, condition = inputs()
    unet = tiny_unet()
    expected = unet(z, torch.tensor([7, 801]), text, return_dict=False)[0]
    assert expected.std() > 0.1
    found = SdatcDenoiser(tiny_unet(), config)(z, torch.tensor([7, 801]), text, condition)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_control_is_the_one_of_diffusers_where_nothing_else_is_trained() -> None:
    """Its residuals, given to diffusers' own walk through the UNet, have the same effect."""
    z, text, condition = inputs()
    denoiser = SdatcDenoiser(tiny_unet(), COPY)
    stirred(denoiser.control)
    steps = torch.tensor([500, 500])
    middle, skips = denoiser.control(z, condition, steps, text)
    expected = tiny_unet()(
        z,
        500,
        text,
        mid_block_additional_residual=middle,
        down_block_additional_residuals=skips,
        return_dict=False,
    )[0]
    found = denoiser(z, 500, text, condition)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert (found - denoiser(z, 500, text, 0 * condition)).abs().max() > 1e-3


@pytest.mark.parametrize("config", [TINY, COPY], ids=["light", "copy"])
@pytest.mark.parametrize("frugal", [False, True])
def test_the_gradient_reaches_all_that_is_trained_and_the_condition(config: SdatcNetConfig, frugal: bool) -> None:
    z, text, condition = inputs()
    torch.manual_seed(0)
    denoiser = SdatcDenoiser(tiny_unet(), config)
    denoiser.frugal = frugal
    stirred(denoiser)
    condition.requires_grad_()
    denoiser(z, 500, text, condition).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in denoiser.trained().values())
    assert not any(value.requires_grad for value in denoiser.unet.parameters())
    assert condition.grad is not None
    assert condition.grad.abs().max() > 0


def test_training_frugally_gives_the_same_gradient() -> None:
    def gradients(frugal: bool) -> list[Tensor]:
        torch.manual_seed(0)
        denoiser = stirred(SdatcDenoiser(tiny_unet(), TINY))
        denoiser.frugal = frugal
        denoiser(*inputs()[:1], 3, *inputs()[1:]).square().mean().backward()
        return [value.grad for value in denoiser.trained().values()]  # type: ignore[operator, misc]

    for plain, frugal in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(plain, frugal)


def test_what_is_trained_has_names_of_its_own() -> None:
    names = SdatcDenoiser(tiny_unet(), TINY).trained()
    assert {name.split(".")[0] for name in names} == {"control", "capm"}
    assert len({name.split(".")[1] for name in names if name.startswith("capm.")}) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda z, c: (z[..., :7, :], c[..., :7, :]), "multiples of 2"),
        (lambda z, c: (z, c[..., :6, :]), "of one size"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    make: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], message: str
) -> None:
    z, text, condition = inputs()
    z, condition = make(z, condition)
    with pytest.raises(ShapeError, match=message):
        SdatcDenoiser(tiny_unet(), TINY)(z, 1, text, condition)


def test_a_light_control_has_as_many_levels_as_the_denoiser() -> None:
    with pytest.raises(SettingError, match="branch of 2 levels"):
        SdatcDenoiser(tiny_unet(), SdatcNetConfig())
