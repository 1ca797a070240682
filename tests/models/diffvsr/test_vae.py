"""DiffVSR's autoencoder against the published code and its file's keys."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.models.diffvsr.config import VAEConfig, read_vae_config
from textovsr.models.diffvsr.vae import VAE
from textovsr.models.diffvsr.vae_blocks import ClipConv
from textovsr.tests.helpers.diffvsr import diffvsr_golden, published_keys, small_vae


def test_the_keys_are_the_published_ones() -> None:
    with torch.device("meta"):
        ours = VAE().state_dict()
    assert {key: list(value.shape) for key, value in ours.items()} == published_keys("vae")
    assert read_vae_config(ours) == VAEConfig()


def decode(frames: slice) -> Tensor:
    clip = diffvsr_golden("vae")["in.z"][frames].transpose(0, 1)[None]  # (T,C,h,w) -> (1,C,T,h,w)
    return small_vae().decode(clip)[0].transpose(0, 1)


@torch.inference_mode()
def test_the_frames_are_the_published_ones() -> None:
    golden = diffvsr_golden("vae")
    torch.testing.assert_close(decode(slice(8)), golden["out.dec_num_frames_8"], rtol=0, atol=1e-5)
    halves = torch.cat([decode(slice(4)), decode(slice(4, 8))])
    torch.testing.assert_close(halves, golden["out.dec_chunks_of_4"], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_the_latents_are_the_published_ones() -> None:
    golden = diffvsr_golden("vae")
    mean, log_variance = small_vae().encode(golden["in.img"])
    torch.testing.assert_close(mean, golden["out.enc_mean"], rtol=0, atol=5e-6)
    torch.testing.assert_close(log_variance, golden["out.enc_logvar"], rtol=0, atol=5e-6)


@torch.inference_mode()
def test_clips_of_a_batch_do_not_see_each_other() -> None:
    z = diffvsr_golden("vae")["in.z"].transpose(0, 1).reshape(4, 2, 4, 6, 10).transpose(0, 1)
    both = small_vae().decode(z)
    torch.testing.assert_close(both[1:], small_vae().decode(z[1:]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_convolution_of_clips_is_what_it_is_elsewhere(frames: int) -> None:
    generator = torch.Generator().manual_seed(frames)
    layer, x = ClipConv(3), torch.randn(2, 3, frames, 4, 5, generator=generator)
    with torch.inference_mode():
        expected = F.conv3d(x, layer.weight, layer.bias, padding=1)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-6)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ShapeError, match=r"multiples of 4, got \(2, 3, 33, 16\)"):
        small_vae().encode(torch.zeros(2, 3, 33, 16))
    with pytest.raises(ShapeError, match=r"latents \(B,4,T,h,w\), got \(8, 4, 6, 10\)"):
        small_vae().decode(diffvsr_golden("vae")["in.z"])
