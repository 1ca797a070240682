"""DiffVSR's networks from files as they are published."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.restorers.diffvsr.loading import load_diffvsr_parts
from textovsr.core.restorers.diffvsr.restorer import DiffVsrRestorer
from textovsr.models.diffvsr.unet import UNet
from textovsr.models.diffvsr.vae import VAE
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.registry import load_network
from textovsr.tests.helpers.diffvsr import golden_weights, small_unet, small_vae


def denoiser_file() -> dict[str, Tensor]:
    """With the buffers that the published one holds."""
    rotary = {
        key.replace("to_q.weight", "rotary_emb.freqs"): torch.ones(16)
        for key in golden_weights("unet")
        if "temporal" in key and key.endswith("to_q.weight")
    }
    return {**golden_weights("unet"), **rotary}


def files(folder: Path) -> tuple[Path, Path, Path]:
    torch.save({"ema": denoiser_file(), "epoch": 3}, folder / "DiffVSR_UNet.pt")
    torch.save(golden_weights("vae"), folder / "TE-3DVAE.pt")
    tower = OpenClipText(OpenClipConfig(width=64, layers=1, heads=1, hidden=64, vocabulary=64))
    save_file(dict(tower.state_dict()), folder / "text.safetensors")
    return folder / "DiffVSR_UNet.pt", folder / "TE-3DVAE.pt", folder / "text.safetensors"


def test_the_published_files_are_read(tmp_path: Path) -> None:
    parts = load_diffvsr_parts(*files(tmp_path))
    assert set(parts) == set(DiffVsrRestorer.part_names)
    for found, expected in ((parts["denoiser"], small_unet()), (parts["vae"], small_vae())):
        assert type(found) is type(expected)
        assert not found.training
        assert not any(parameter.requires_grad for parameter in found.parameters())
        weights = expected.state_dict()
        assert all(torch.equal(value, weights[key]) for key, value in found.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(("name", "kind"), [("unet", UNet), ("vae", VAE)])
def test_they_are_recognised_by_their_keys(tmp_path: Path, name: str, kind: type, prefix: str) -> None:
    halves = {prefix + key: value.half() for key, value in golden_weights(name).items()}
    save_file(halves, tmp_path / "halves.safetensors")
    network = load_network(tmp_path / "halves.safetensors")
    assert isinstance(network, kind)
    assert next(network.parameters()).dtype == torch.float32


def test_what_is_missing_or_left_over_is_named(tmp_path: Path) -> None:
    denoiser, vae, text = files(tmp_path)
    weights = golden_weights("unet")
    missing = "up_blocks.1.attentions.0.transformer_blocks.0.temporal_up_conv.weight"
    save_file({key: value for key, value in weights.items() if key != missing}, tmp_path / "cut.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"cut\.safetensors(?s:.*)Missing key(?s:.*)" + missing):
        load_diffvsr_parts(tmp_path / "cut.safetensors", vae, text)
    save_file({**weights, "more.weight": torch.ones(1)}, tmp_path / "more.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"Unexpected key(?s:.*)more\.weight"):
        load_diffvsr_parts(tmp_path / "more.safetensors", vae, text)
    with pytest.raises(UnknownCheckpointError, match=r"checkpoint of DiffVSR's denoiser, got .*TE-3DVAE\.pt"):
        load_diffvsr_parts(vae, denoiser, text)
    with pytest.raises(WeightsNotFoundError, match=r"none\.pt"):
        load_diffvsr_parts(denoiser, tmp_path / "none.pt", text)
    vae.write_bytes(vae.read_bytes()[:5000])
    with pytest.raises(DamagedWeightsError, match="TE-3DVAE"):
        load_diffvsr_parts(denoiser, vae, text)
