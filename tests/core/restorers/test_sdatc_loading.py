"""SDATC's files: what training left, on Stable Diffusion's; without trained weights nothing is restored."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsError, WeightsNotFoundError
from textovsr.core.restorers.sdatc.loading import SdatcFiles, load_sdatc_parts
from textovsr.models.registry import read_metadata, read_state_dict
from textovsr.models.sdatc.checkpoint import STAGE_FILES, find_stage, save_stage, stage1_tensors, stage2_tensors
from textovsr.models.sdatc.dcm import Dcm
from textovsr.models.sdatc.denoiser import SdatcDenoiser
from textovsr.models.sdatc.vae import SdatcVae
from textovsr.models.spynet import SPyNet
from textovsr.tests.helpers.sdatc import TINY, tiny_networks, tiny_unet, tiny_vae


def prefixed(network: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value.contiguous() for key, value in network.state_dict().items()}


def save_stages(folder: Path, steps: int = 7) -> tuple[Path, Path]:
    """Of the tiny networks, as training leaves them."""
    networks = tiny_networks()
    dcm, denoiser, vae = networks["dcm"], networks["denoiser"], networks["vae"]
    assert isinstance(dcm, Dcm)
    assert isinstance(denoiser, SdatcDenoiser)
    assert isinstance(vae, SdatcVae)
    first, second = (folder / name for name in STAGE_FILES)
    save_stage(stage1_tensors(dcm, denoiser), TINY, steps, first, {"licence": "ours"})
    save_stage(stage2_tensors(vae), TINY, steps, second)
    return first, second


@pytest.fixture
def stages(tmp_path: Path) -> tuple[Path, Path]:
    return save_stages(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stable Diffusion as diffusers saves it, but for its size."""
    base = tmp_path / "sd21"
    files = {
        "unet/diffusion_pytorch_model.safetensors": tiny_unet(),
        "vae/diffusion_pytorch_model.fp16.safetensors": tiny_vae(),
        "text_encoder/model.safetensors": tiny_networks()["text"],
    }
    for name, network in files.items():
        (base / name).parent.mkdir(parents=True)
        save_file(prefixed(network, ""), base / name)
    return base


def nearly(found: nn.Module, expected: nn.Module) -> bool:
    """The same but for what half precision keeps."""
    ours, theirs = found.state_dict(), expected.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.allclose(ours[key].float(), theirs[key].float(), atol=2e-3) for key in theirs
    )


def test_what_was_trained_comes_back_on_stable_diffusion(stages: tuple[Path, Path], folder: Path) -> None:
    parts = load_sdatc_parts(SdatcFiles(*stages, folder))
    assert set(parts) == set(tiny_networks())
    assert all(nearly(parts[name], tiny_networks()[name]) for name in ("dcm", "denoiser", "vae", "text"))
    assert isinstance(parts["flow"], SPyNet)
    everything = [value for part in parts.values() for value in part.parameters()]
    assert not any(value.is_meta or value.requires_grad or value.dtype != torch.float32 for value in everything)
    assert not any(part.training for part in parts.values())


def test_the_files_of_a_folder_may_be_named_one_by_one(stages: tuple[Path, Path], folder: Path) -> None:
    unet, vae = folder / "unet" / "diffusion_pytorch_model.safetensors", folder / "vae"
    parts = load_sdatc_parts(SdatcFiles(*stages, unet, vae, folder / "text_encoder" / "model.safetensors"))
    assert nearly(parts["vae"], tiny_networks()["vae"])


def test_a_stage_holds_only_what_was_trained(stages: tuple[Path, Path]) -> None:
    keys = [set(load_file(path)) for path in stages]
    assert {".".join(key.split(".")[:2]) for key in keys[0] if not key.startswith("dcm.")} == {
        "denoiser.control",
        "denoiser.capm",
    }
    assert {".".join(key.split(".")[:2]) for key in keys[1]} == {"vae.stam", "vae.capm", "vae.cfw"}
    header = read_metadata(stages[0])
    assert (header["steps"], header["licence"]) == ("7", "ours")
    assert json.loads(header["config"]) == json.loads(json.dumps(TINY.as_dict()))
    assert [find_stage(read_state_dict(path)) for path in stages] == [1, 2]
    assert find_stage({"vae.encoder.conv_in.weight": 0}) == 0


@pytest.mark.parametrize("missing", [0, 1])
def test_without_trained_weights_it_says_how_to_train_them(
    stages: tuple[Path, Path], folder: Path, missing: int
) -> None:
    chosen: list[Path | None] = list(stages)
    chosen[missing] = None
    with pytest.raises(WeightsNotFoundError, match=f"needs trained weights: .*stage{missing + 1}.*train sdatc"):
        load_sdatc_parts(SdatcFiles(chosen[0], chosen[1], folder))
    chosen[missing] = folder / "nothing.safetensors"
    with pytest.raises(WeightsNotFoundError, match=r"needs trained weights: .*no .*nothing\.safetensors"):
        load_sdatc_parts(SdatcFiles(chosen[0], chosen[1], folder))


def test_weights_that_were_not_trained_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"needs trained weights: .*got 0 steps in .*train sdatc"):
        load_sdatc_parts(SdatcFiles(*save_stages(tmp_path, steps=0), folder))


def test_files_that_cannot_be_used_are_named(stages: tuple[Path, Path], folder: Path, tmp_path: Path) -> None:
    first, second = stages
    with pytest.raises(UnknownCheckpointError, match=r"SDATC's sdatc-stage1.*got .*sdatc-stage2\.safetensors with"):
        load_sdatc_parts(SdatcFiles(second, second, folder))
    with pytest.raises(WeightsNotFoundError, match=r"Diffusion 2\.1 base at .*nowhere"):
        load_sdatc_parts(SdatcFiles(first, second, tmp_path / "nowhere"))
    with pytest.raises(UnknownCheckpointError, match=r"autoencoder in .*stage1\.safetensors"):
        load_sdatc_parts(SdatcFiles(first, second, folder, first))
    short = tmp_path / "short.safetensors"
    short.write_bytes(first.read_bytes()[:1000])
    with pytest.raises(DamagedWeightsError, match=r"short\.safetensors"):
        load_sdatc_parts(SdatcFiles(short, second, folder))


@pytest.mark.parametrize(
    ("stage", "key"), [(0, "denoiser.capm.1.prompts"), (0, "dcm.norm.bias"), (1, "vae.cfw.2.out.bias")]
)
def test_what_is_missing_is_named(stages: tuple[Path, Path], folder: Path, stage: int, key: str) -> None:
    tensors, header = load_file(stages[stage]), read_metadata(stages[stage])
    del tensors[key]
    save_file(tensors, stages[stage], header)
    name = key.removeprefix("denoiser.").removeprefix("vae.").removeprefix("dcm.")
    with pytest.raises(UnknownCheckpointError, match=f"(?s)stage{stage + 1}.safetensors, which does not fit.*{name}"):
        load_sdatc_parts(SdatcFiles(*stages, folder))


@pytest.mark.parametrize("header", [{}, {"steps": "7"}, {"steps": "7", "config": "{"}, {"steps": "x", "config": "{}"}])
def test_a_file_without_its_header_is_refused(stages: tuple[Path, Path], folder: Path, header: dict[str, str]) -> None:
    save_file(load_file(stages[0]), stages[0], header)
    with pytest.raises(UnknownCheckpointError, match=r"sizes and trained steps in the header of .*stage1"):
        load_sdatc_parts(SdatcFiles(*stages, folder))


def test_another_stable_diffusion_is_refused(stages: tuple[Path, Path], folder: Path) -> None:
    """Its levels are not those that the files were trained with."""
    config = json.dumps({**TINY.as_dict(), "control": {**TINY.as_dict()["control"], "multipliers": [1, 1, 1]}})
    save_file(load_file(stages[0]), stages[0], {"steps": "7", "config": config})
    with pytest.raises(UnknownCheckpointError, match=r"first stage of SDATC.*branch of 2 levels"):
        load_sdatc_parts(SdatcFiles(*stages, folder))
