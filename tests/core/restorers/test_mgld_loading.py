"""MGLD-VSR's published files, at reduced width: everything is found, what is missing is named."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.restorers.mgld.loading import load_mgld_parts
from textovsr.models.mgld.config import VAEConfig
from textovsr.models.mgld.denoiser import Denoiser
from textovsr.models.mgld.video_vae import VideoVAE
from textovsr.models.open_clip_text import OpenClipText
from textovsr.models.raft import RAFT
from textovsr.models.registry import load_network
from textovsr.models.spynet import SPyNet
from textovsr.tests.helpers.mgld import TINY_VAE, by_rule, published_keys, tiny_networks


def prefixed(network: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value.contiguous() for key, value in network.state_dict().items()}


def published(without: str = "nothing") -> dict[str, Tensor]:
    """``mgldvsr_unet.ckpt`` with small networks and the large RAFT, of zeros."""
    networks = tiny_networks()
    denoiser = networks["denoiser"]
    plain = by_rule(VideoVAE(VAEConfig(TINY_VAE.channels, TINY_VAE.multipliers, TINY_VAE.blocks, video=False)))
    flow = {
        f"flownet_model.{k}": torch.zeros(s)
        for k, s in published_keys("mgld_unet_manifest.json", "flownet_model.").items()
    }
    whole = {
        **prefixed(denoiser.get_submodule("unet"), "model.diffusion_model."),
        **prefixed(denoiser.get_submodule("structure"), "structcond_stage_model."),
        **prefixed(plain, "first_stage_model."),
        **prefixed(networks["text"], "cond_stage_model.model."),
        **flow,
        "betas": torch.zeros(1000),
    }
    return {key: value for key, value in whole.items() if not key.startswith(without)}


def same(ours: nn.Module, theirs: nn.Module) -> bool:
    expected = theirs.state_dict()
    found = ours.state_dict()
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def checkpoint(path: Path, without: str = "nothing") -> Path:
    torch.save({"state_dict": published(without), "global_step": 3}, path)
    return path


@pytest.fixture
def vae_file(tmp_path: Path) -> Path:
    path = tmp_path / "video_vae_cfw.ckpt"
    loss = {"loss.logvar": torch.zeros(()), "loss.discriminator.main.0.weight": torch.zeros(2)}
    torch.save({"state_dict": {**prefixed(tiny_networks()["vae"], ""), **loss}}, path)
    return path


def test_the_published_files_are_all_that_is_needed(
    tmp_path: Path, vae_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        parts = load_mgld_parts(checkpoint(tmp_path / "mgldvsr_unet.ckpt"), vae_file)
    assert "video_vae_cfw.ckpt also holds loss, which only training needs" in caplog.text
    assert {name: type(part) for name, part in parts.items()} == {
        "denoiser": Denoiser,
        "vae": VideoVAE,
        "text": OpenClipText,
        "flow": RAFT,
    }
    assert all(same(parts[name], tiny_networks()[name]) for name in ("denoiser", "vae"))
    assert not any(x.is_meta or x.requires_grad for part in parts.values() for x in part.parameters())
    assert not any(part.training for part in parts.values())


def test_safetensors_serve_as_well_and_what_is_not_there_is_replaced(tmp_path: Path) -> None:
    """Without a video autoencoder that of pictures is taken, without RAFT the shipped flow."""
    file, text = tmp_path / "mgld.safetensors", tmp_path / "text.safetensors"
    save_file({key: value.half() for key, value in published("flownet_model.").items()}, file)
    save_file(prefixed(tiny_networks()["text"], ""), text)
    parts = load_mgld_parts(file, text=text)
    assert isinstance(parts["flow"], SPyNet)
    vae = parts["vae"]
    assert isinstance(vae, VideoVAE)
    assert not vae.config.video
    with torch.inference_mode():
        mean, _, features = vae.encode(torch.zeros(2, 3, 16, 16))
        assert vae.decode(mean, features, 2).shape == (2, 3, 16, 16)
    assert all(x.dtype == torch.float32 for x in parts["denoiser"].parameters())


def test_the_file_is_recognised_among_all_others(tmp_path: Path, vae_file: Path) -> None:
    """It holds a RAFT too, which is not what it is."""
    assert isinstance(load_network(checkpoint(tmp_path / "any.ckpt")), Denoiser)
    assert isinstance(load_network(vae_file), VideoVAE)


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ("model.diffusion_model.output_blocks.2", r"Missing key\(s\) in state_dict: \"unet\.output_blocks\.2"),
        ("structcond_stage_model.time_embed", r"(?s)any\.ckpt, which does not fit: .*structure\.time_embed"),
        ("model.diffusion_model.input_blocks.0", r"MGLD-VSR checkpoint, got .*any\.ckpt, which does not fit"),
        ("model.", r"checkpoint of MGLD-VSR, got .*any\.ckpt with keys such as"),
        ("first_stage_model.", r"autoencoder \(first_stage_model\.\*\) in any\.ckpt too, found none"),
        ("cond_stage_model.", r"text encoder \(cond_stage_model\.\*\) in any\.ckpt too, found none"),
        ("flownet_model.cnet.conv2", r"RAFT checkpoint, got .*any\.ckpt, which does not fit"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, without: str, message: str) -> None:
    with pytest.raises(UnknownCheckpointError, match=message):
        load_mgld_parts(checkpoint(tmp_path / "any.ckpt", without))


def test_files_that_cannot_be_used_are_named(tmp_path: Path, vae_file: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"nothing\.ckpt"):
        load_mgld_parts(tmp_path / "nothing.ckpt")
    whole, other = checkpoint(tmp_path / "any.ckpt"), tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(UnknownCheckpointError, match="autoencoder"):
        load_mgld_parts(whole, other)
    short = tmp_path / "short.ckpt"
    short.write_bytes(vae_file.read_bytes()[:1000])
    with pytest.raises(DamagedWeightsError, match=r"short\.ckpt"):
        load_mgld_parts(whole, short)
