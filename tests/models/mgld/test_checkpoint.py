"""The sizes that are read off the published files' tensors are the published ones."""

import torch
from torch import Tensor

from textovsr.models.mgld import checkpoint
from textovsr.models.mgld.config import StructConfig, UNetConfig, VAEConfig
from textovsr.models.mgld.denoiser import Denoiser
from textovsr.models.mgld.video_vae import VideoVAE
from textovsr.tests.helpers.mgld import TINY_STRUCT, TINY_UNET, TINY_VAE, published_keys, tiny_networks


def shapes(manifest: str, prefix: str = "") -> dict[str, Tensor]:
    """Tensors of the published shapes, without memory."""
    with torch.device("meta"):
        return {key: torch.empty(shape) for key, shape in published_keys(manifest, prefix).items()}


def test_the_denoiser_has_the_published_sizes() -> None:
    state = checkpoint.denoiser_keys(shapes("mgld_unet_manifest.json"))
    denoiser = checkpoint.build_denoiser(state)
    assert denoiser.unet.config == UNetConfig()
    assert denoiser.structure.config == StructConfig()
    assert denoiser.state_dict().keys() == state.keys()
    assert all(value.is_meta for value in denoiser.parameters())


def test_the_autoencoders_have_the_published_sizes() -> None:
    """That of video, and that of pictures, which has neither mixing of frames nor fusion."""
    video = checkpoint.build_vae(shapes("mgld_video_vae_manifest.json"))
    assert video.config == VAEConfig()
    plain = shapes("mgld_unet_manifest.json", checkpoint.PLAIN_VAE)
    pictures = checkpoint.build_vae(plain)
    assert pictures.config == VAEConfig(video=False)
    assert {key: value.shape for key, value in pictures.state_dict().items()} == {
        key: value.shape for key, value in plain.items()
    }


def test_smaller_ones_have_their_own_sizes() -> None:
    networks = tiny_networks()
    denoiser, vae = networks["denoiser"], networks["vae"]
    assert isinstance(denoiser, Denoiser)
    assert isinstance(vae, VideoVAE)
    small = checkpoint.build_denoiser(denoiser.state_dict())
    assert (small.unet.config, small.structure.config) == (TINY_UNET, TINY_STRUCT)
    assert checkpoint.build_vae(vae.state_dict()).config == TINY_VAE
