"""SDATC's autoencoder: new, it is Stable Diffusion's; trained, frames are mixed and the encoder's features count."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.models.sdatc.config import CfwConfig, StamConfig
from textovsr.models.sdatc.vae import SdatcVae
from textovsr.tests.helpers.sdatc import TINY, noise, stirred, tiny_vae

FRAMES = noise(1, 3, 3, 16, 24).clamp(-1, 1)
LATENTS = noise(2, 3, 4, 2, 3)


def trained() -> SdatcVae:
    torch.manual_seed(0)
    network = SdatcVae(tiny_vae(), TINY)
    for part in (network.stam, network.capm, network.cfw):
        stirred(part, 0.2)
    return network.eval().requires_grad_(False)


def decoded(network: SdatcVae, z: Tensor = LATENTS, weight: float = 1.0) -> Tensor:
    return network.decode(z, network.encode(FRAMES[: len(z)])[2], len(z), weight)


@torch.inference_mode()
def test_a_new_one_does_what_stable_diffusions_does() -> None:
    vae, ours = tiny_vae(), SdatcVae(tiny_vae(), TINY)
    mean, log_variance, features = ours.encode(FRAMES)
    expected = vae.encode(FRAMES).latent_dist
    torch.testing.assert_close(mean, expected.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_variance, expected.logvar, rtol=0, atol=1e-6)
    found = ours.decode(LATENTS, features, 3)
    torch.testing.assert_close(found, vae.decode(LATENTS).sample, rtol=0, atol=1e-6)
    assert found.std() > 0.1


@torch.inference_mode()
def test_with_a_random_start_of_the_features_it_does_so_where_these_do_not_count() -> None:
    torch.manual_seed(0)
    ours = SdatcVae(tiny_vae(), replace(TINY, cfw=CfwConfig(levels=(1, 2), start="random")))
    expected = tiny_vae().decode(LATENTS).sample
    torch.testing.assert_close(decoded(ours, weight=0.0), expected, rtol=0, atol=1e-6)
    assert (decoded(ours) - expected).abs().max() > 1e-3


@torch.inference_mode()
def test_features_count_as_much_as_is_asked_for() -> None:
    network = trained()
    none, few, all_ = (decoded(network, weight=weight) for weight in (0.0, 0.001, 1.0))
    assert 1e-3 < (few - none).norm() < (all_ - none).norm()


@torch.inference_mode()
def test_frames_are_mixed_within_their_clip_only() -> None:
    network = trained()
    other = LATENTS.clone()
    other[2] += 1.0
    features = network.encode(FRAMES)[2]
    whole, changed = (network.decode(z, features, 3) for z in (LATENTS, other))
    assert (whole[:2] - changed[:2]).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    apart = [network.decode(z, features, 1) for z in (LATENTS, other)]
    torch.testing.assert_close(apart[0][:2], apart[1][:2], rtol=0, atol=0)
    two = torch.cat([LATENTS, other])
    twice = network.decode(two, [torch.cat([x, x]) for x in features], 3)
    torch.testing.assert_close(twice, torch.cat([whole, changed]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("frugal", [False, True])
def test_the_gradient_reaches_all_that_is_trained(frugal: bool) -> None:
    network = trained()
    network.frugal = frugal
    for value in network.trained().values():
        value.requires_grad_()
    network.decode(LATENTS, network.encode(FRAMES)[2], 3).square().mean().backward()
    missing = [name for name, value in network.trained().items() if value.grad is None or not value.grad.abs().max()]
    assert not missing
    assert not any(value.requires_grad for value in network.vae.parameters())


def test_a_gradient_goes_through_the_encoder_to_the_frames() -> None:
    """The DCM learns by it."""
    frames = FRAMES.clone().requires_grad_()
    trained().encode(frames)[0].square().mean().backward()
    assert frames.grad is not None
    assert frames.grad.abs().max() > 0


def test_what_is_trained_has_names_of_its_own() -> None:
    names = SdatcVae(tiny_vae(), replace(TINY, stam=StamConfig(heads=2, attention=(2, 3), alpha="channel"))).trained()
    assert {name.split(".")[0] for name in names} == {"stam", "capm", "cfw"}
    assert {name for name in names if name.endswith("alpha2")} == {"stam.2.alpha2", "stam.3.alpha2"}
    assert names["stam.0.alpha1"].shape == (1, 8, 1, 1, 1)
    assert {name.split(".")[1] for name in names if name.startswith("cfw.")} == {"2"}


def test_sizes_that_do_not_fit_are_refused() -> None:
    network = trained()
    with pytest.raises(ShapeError, match="multiples of 8"):
        network.encode(FRAMES[..., :12])
    features = network.encode(FRAMES)[2]
    with pytest.raises(ShapeError, match="clips of 2 frames"):
        network.decode(LATENTS, features, 2)
    with pytest.raises(ShapeError, match="1 levels of features"):
        network.decode(LATENTS, [], 3)
