"""Stable Diffusion's networks from single files and from diffusers' folders."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.errors import UnknownCheckpointError
from textovsr.models.mgld.blocks import ResBlock
from textovsr.models.mgld.config import UNetConfig, VAEConfig
from textovsr.models.mgld.temporal import TemporalAttention, TemporalConv
from textovsr.models.mgld.unet import UNet
from textovsr.models.mgld.video_vae import VideoVAE
from textovsr.models.sdatc.base import load_unet, load_vae
from textovsr.tests.helpers.mgld import published_keys
from textovsr.tests.helpers.sdatc import TEXT, by_rule, noise, tiny_unet, tiny_vae


def original_unet() -> UNet:
    """One in the original names: MGLD-VSR's is Stable Diffusion's but for what is taken out here."""
    network = UNet(UNetConfig(channels=64, multipliers=(1, 1), blocks=2, head_width=64, context=TEXT, structure=8))
    for module in network.modules():
        if isinstance(module, ResBlock):
            module.spade = None
    ours = (TemporalConv, TemporalAttention)
    network.middle_block = nn.ModuleList(layer for layer in network.middle_block if not isinstance(layer, ours))
    by_rule(network)
    return network


def prefixed(network: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in network.state_dict().items()}


def other_names(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As diffusers saved an autoencoder's attention before."""
    names = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    renamed = {}
    for key, value in state_dict.items():
        for new, old in names.items():
            key = key.replace(new, old)
        renamed[key] = value
    return renamed


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", ""])
@torch.inference_mode()
def test_the_unet_of_a_single_file_predicts_what_the_original_does(prefix: str) -> None:
    original = original_unet()
    z, text, steps = noise(1, 2, 4, 8, 8), noise(2, 2, 7, TEXT), torch.tensor([3, 700])
    expected = original(z, steps, text, [noise(3, 2, 8, 8, 8), noise(3, 2, 8, 4, 4)], 1)
    whole = {**prefixed(original, prefix), "first_stage_model.quant_conv.weight": torch.zeros(1)}
    found = load_unet(whole)(z, steps, text, return_dict=False)[0]
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("prefix", ["first_stage_model.", ""])
@torch.inference_mode()
def test_the_autoencoder_of_a_single_file_does_what_the_original_does(prefix: str) -> None:
    original = by_rule(VideoVAE(VAEConfig(channels=32, multipliers=(1, 1, 2, 2), blocks=1, video=False)))
    vae = load_vae(prefixed(original, prefix))
    frames, z = noise(1, 2, 3, 16, 16).clamp(-1, 1), noise(2, 2, 4, 2, 2)
    mean, log_variance, features = original.encode(frames)
    found = vae.encode(frames).latent_dist
    torch.testing.assert_close(found.mean, mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.logvar, log_variance, rtol=0, atol=1e-5)
    torch.testing.assert_close(vae.decode(z).sample, original.decode(z, features, 2), rtol=0, atol=1e-5)


def test_stable_diffusions_own_sizes_are_read_off_its_tensors() -> None:
    """Those of MGLD-VSR's published files, which are built on version 2.1, without what MGLD-VSR added."""

    def empty(manifest: str, prefix: str, added: tuple[str, ...]) -> dict[str, Tensor]:
        keys = published_keys(manifest, prefix)
        kept = {key: shape for key, shape in keys.items() if not any(word in key for word in added)}
        return {key: torch.empty(shape, device="meta") for key, shape in kept.items()}

    held = empty("mgld_unet_manifest.json", "model.diffusion_model.", ("spade", "temporal", "middle_block.3."))
    for old, new in (("middle_block.2.", "middle_block.1."), ("middle_block.4.", "middle_block.2.")):
        held = {key.replace(old, new): value for key, value in held.items()}
    unet = load_unet({f"model.diffusion_model.{key}": value for key, value in held.items()})
    assert round(sum(value.numel() for value in unet.parameters()) / 1e6, 2) == 865.91
    assert unet.config["attention_head_dim"] == (5, 10, 20, 20)
    assert unet.config["down_block_types"] == ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    vae = load_vae(empty("mgld_video_vae_manifest.json", "", ("fusion", "temporal")))
    assert round(sum(value.numel() for value in vae.parameters()) / 1e6, 2) == 83.65


@torch.inference_mode()
def test_networks_as_diffusers_saves_them_are_the_same_again() -> None:
    z, text = noise(1, 1, 4, 8, 8), noise(2, 1, 7, TEXT)
    unet, vae = tiny_unet(), tiny_vae()
    again = load_unet({key: value.half().float() for key, value in unet.state_dict().items()})
    assert again.config["down_block_types"] == unet.config["down_block_types"]
    torch.testing.assert_close(load_unet(unet.state_dict())(z, 5, text).sample, unet(z, 5, text).sample)
    for state in (vae.state_dict(), other_names(vae.state_dict())):
        found = load_vae({key: value.double() for key, value in state.items()})
        torch.testing.assert_close(found.decode(z).sample, vae.decode(z).sample)
        assert not found.training
        assert not any(value.requires_grad or value.dtype != torch.float32 for value in found.parameters())


def test_other_files_are_refused_by_name() -> None:
    with pytest.raises(UnknownCheckpointError, match=r"Diffusion 2\.1's UNet in other\.ckpt, got keys such as .'x'"):
        load_unet({"x": torch.zeros(1)}, "other.ckpt")
    with pytest.raises(UnknownCheckpointError, match=r"autoencoder in other\.ckpt"):
        load_vae({"x": torch.zeros(1)}, "other.ckpt")


@pytest.mark.parametrize("missing", ["up_blocks.1.resnets.0.conv2.bias", "time_embedding.linear_1.weight"])
def test_what_is_missing_is_named(missing: str) -> None:
    state = {key: value for key, value in tiny_unet().state_dict().items() if key != missing}
    with pytest.raises(UnknownCheckpointError, match=f"cut.ckpt, which does not fit: '{missing}'"):
        load_unet(state, "cut.ckpt")
