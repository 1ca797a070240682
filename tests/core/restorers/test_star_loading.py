"""STAR's networks from files as they are published, at a small size."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.restorers.star.loading import load_star_parts, load_svd_vae
from textovsr.core.restorers.star.restorer import StarRestorer
from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.tests.helpers.star_shots import tiny_networks


def files(folder: Path) -> tuple[Path, Path, Path]:
    networks = tiny_networks()
    torch.save({"state_dict": networks["denoiser"].state_dict()}, folder / "light_deg.pt")
    for name in ("vae", "text"):
        save_file(dict(networks[name].state_dict()), folder / f"{name}.safetensors")
    return folder / "light_deg.pt", folder / "vae.safetensors", folder / "text.safetensors"


def same(found: nn.Module, expected: nn.Module) -> bool:
    weights = expected.state_dict()
    assert found.state_dict().keys() == weights.keys()
    return all(torch.equal(value, weights[key]) for key, value in found.state_dict().items())


def test_the_published_files_are_read(tmp_path: Path) -> None:
    parts = load_star_parts(*files(tmp_path))
    assert set(parts) == set(StarRestorer.part_names)
    for name, expected in tiny_networks().items():
        assert type(parts[name]) is type(expected)
        assert not parts[name].training
        assert not any(parameter.requires_grad for parameter in parts[name].parameters())
        assert same(parts[name], expected)


def test_half_precision_and_other_sizes_of_the_autoencoder(tmp_path: Path) -> None:
    network = SvdVae(SvdVaeConfig((32, 64), layers_per_block=2)).half()
    save_file(dict(network.state_dict()), tmp_path / "diffusion_pytorch_model.fp16.safetensors")
    found = load_svd_vae(tmp_path / "diffusion_pytorch_model.fp16.safetensors")
    assert found.config == network.config
    assert next(found.parameters()).dtype == torch.float32
    assert same(found.half(), network)


def test_the_autoencoder_is_the_one_that_diffusers_saves() -> None:
    """Names and shapes; at the published size 97.7 million weights, 391 MB in single precision."""
    from diffusers import AutoencoderKLTemporalDecoder

    with torch.device("meta"):
        found = SvdVae(SvdVaeConfig()).state_dict()
        theirs = AutoencoderKLTemporalDecoder(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=2
        ).state_dict()
    assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in theirs.items()}
    assert sum(value.numel() for value in found.values()) == 97_742_847


@torch.inference_mode()
def test_the_autoencoder_computes_as_that_of_diffusers() -> None:
    from diffusers import AutoencoderKLTemporalDecoder

    ours = cast("SvdVae", tiny_networks()["vae"])
    theirs: Any = AutoencoderKLTemporalDecoder(
        block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=1
    ).eval()
    theirs.load_state_dict(ours.state_dict())
    frames, latents = torch.rand(1, 3, 16, 24), torch.randn(3, 4, 2, 3)
    assert torch.equal(ours.encode(frames), theirs.encode(frames).latent_dist.parameters)
    assert torch.equal(ours.decode(latents), theirs.decode(latents, num_frames=3).sample)


def test_moving_it_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """diffusers warns of every change of its networks' precision."""
    tiny_networks()["vae"].to("cpu", torch.float32)
    assert not caplog.records


def test_what_is_missing_or_left_over_is_named(tmp_path: Path) -> None:
    denoiser, vae, text = files(tmp_path)
    networks = tiny_networks()
    missing = "VideoControlNet.zero_convs.0.0.weight"
    left = {key: value for key, value in networks["denoiser"].state_dict().items() if key != missing}
    save_file(left, tmp_path / "cut.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"cut\.safetensors(?s:.*)Missing key(?s:.*)" + missing):
        load_star_parts(tmp_path / "cut.safetensors", vae, text)
    save_file({**networks["vae"].state_dict(), "more.weight": torch.ones(1)}, tmp_path / "more.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"more\.safetensors(?s:.*)Unexpected key(?s:.*)more\.weight"):
        load_star_parts(denoiser, tmp_path / "more.safetensors", text)
    weights = {key: value for key, value in networks["vae"].state_dict().items() if "encoder.down" not in key}
    save_file(weights, tmp_path / "half.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"whole autoencoder .*half\.safetensors"):
        load_svd_vae(tmp_path / "half.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"STAR's denoiser, got .*text\.safetensors"):
        load_star_parts(text, vae, text)
    with pytest.raises(UnknownCheckpointError, match=r"Stable Video Diffusion's autoencoder, got .*text\.safetensors"):
        load_star_parts(denoiser, text, text)
    with pytest.raises(WeightsNotFoundError, match=r"none\.pt"):
        load_star_parts(denoiser, tmp_path / "none.pt", text)
    vae.write_bytes(vae.read_bytes()[:5000])
    with pytest.raises(DamagedWeightsError, match="vae"):
        load_star_parts(denoiser, vae, text)
