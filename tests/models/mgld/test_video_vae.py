"""MGLD-VSR's video autoencoder against the published code and its file's keys."""

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.models.mgld.config import VAEConfig
from textovsr.models.mgld.video_vae import Features, VideoVAE
from textovsr.tests.helpers.mgld import mgld_golden, published_keys, small_decoder

FRAMES = 5


def decode(z: Tensor, weight: float) -> Tensor:
    return small_decoder()(z, features(), FRAMES, weight)


def features() -> Features:
    return mgld_golden()["in.enc_feature_half"], mgld_golden()["in.enc_feature_quarter"]


def test_the_keys_are_the_published_ones() -> None:
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in VideoVAE().state_dict().items()}
    assert ours == published_keys("mgld_video_vae_manifest.json", "")


@torch.inference_mode()
def test_the_frames_are_the_published_ones() -> None:
    golden = mgld_golden()
    torch.testing.assert_close(decode(golden["in.z_decode"], 0.75), golden["out.decoded"], rtol=0, atol=1e-4)


@torch.inference_mode()
def test_a_weight_of_nothing_takes_nothing_from_the_source() -> None:
    z = mgld_golden()["in.z_decode"]
    none = [torch.zeros_like(feature) for feature in features()]
    alone = small_decoder()(z, (none[0], none[1]), FRAMES, 0.0)
    torch.testing.assert_close(decode(z, 0.0), alone)
    assert not torch.allclose(decode(z, 1.0), alone, atol=0.1)


@torch.inference_mode()
def test_latents_come_back_as_frames_eight_times_as_large() -> None:
    vae = VideoVAE(VAEConfig(channels=32)).eval()
    mean, log_variance, seen = vae.encode(torch.zeros(2, 3, 32, 16))
    assert mean.shape == log_variance.shape == (2, 4, 4, 2)
    assert vae.decode(mean, seen, 2).shape == (2, 3, 32, 16)
    with pytest.raises(ShapeError, match=r"multiples of 8, got \(2, 3, 33, 16\)"):
        vae.encode(torch.zeros(2, 3, 33, 16))
    with pytest.raises(ShapeError, match="clips of 3 frames"):
        vae.decode(mean, seen, 3)
