"""The file of an exported network: written, read, refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from textovsr.core.errors import (
    DamagedWeightsError,
    SettingError,
    UnknownCheckpointError,
    WeightsNotFoundError,
)
from textovsr.models.catalog import SHIPPED, list_weights
from textovsr.models.dial import load_dialled
from textovsr.models.exported import CARD, ExportedTextOVSR, is_exported, load_exported
from textovsr.models.registry import load_network, read_state_dict
from textovsr.tests.helpers.exported import save_tiny_exported, tiny_exported
from textovsr.tests.helpers.networks import save_tiny

LAYER = "basicvsr.fusion"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An exported file."""
    return save_tiny_exported(tmp_path / "tiny8.safetensors")


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor], dict[str, object]], None]) -> Path:
    """Change an exported file's tensors and card."""
    tensors = read_state_dict(path)
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()[CARD])
    change(tensors, card)
    save_file(tensors, path, {CARD: json.dumps(card)})
    return path


def test_what_is_written_is_read(path: Path) -> None:
    found, expected = load_exported(path), tiny_exported()
    assert found.card == {"format": 1, **expected.card}
    assert found.quantized.keys() == expected.quantized.keys()
    for name, layer in expected.quantized.items():
        own = found.quantized[name]
        assert torch.equal(own.weight, layer.weight)
        assert torch.equal(own.scale, layer.scale)
        assert (own.low, own.high) == pytest.approx((layer.low, layer.high))
        assert torch.equal(found.network.get_submodule(name).weight, layer.real())  # type: ignore[arg-type]


def test_equal_exports_are_equal_files(path: Path, tmp_path: Path) -> None:
    again = save_tiny_exported(tmp_path / "again.safetensors")
    assert again.read_bytes() == path.read_bytes()
    assert load_exported(again).digest == load_exported(path).digest
    other = save_tiny_exported(tmp_path / "other.safetensors", seed=1)
    assert load_exported(other).digest != load_exported(path).digest
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "tiny8.safetensors",
        "again.safetensors",
        "other.safetensors",
    }


def test_it_is_chosen_like_any_weights(path: Path, tmp_path: Path) -> None:
    assert is_exported(path)
    assert not is_exported(save_tiny(tmp_path / "plain.safetensors"))
    assert not is_exported(tmp_path / "none.safetensors")
    assert list_weights([tmp_path])[len(SHIPPED) :] == ["plain.safetensors", "tiny8.safetensors"]
    assert isinstance(load_dialled(path), ExportedTextOVSR)


def test_nobody_moves_or_halves_it(path: Path) -> None:
    found = load_exported(path).half()
    assert not found.state_dict()
    assert {value.dtype for value in found.network.parameters()} == {torch.float32}


def test_the_dial_stands_still(path: Path) -> None:
    with pytest.raises(SettingError, match=r"Expected fidelity 1 with tiny8.safetensors, got 0.5: it was exported"):
        load_dialled(path, 0.5)


def test_it_is_no_checkpoint_to_train_from(path: Path) -> None:
    with pytest.raises(UnknownCheckpointError, match="which does not fit"):
        load_network(path)


def no_scale(tensors: dict[str, torch.Tensor], card: dict[str, object]) -> None:
    del tensors[f"{LAYER}.scale"]


def no_weight(tensors: dict[str, torch.Tensor], card: dict[str, object]) -> None:
    del tensors[f"{LAYER}.weight"]


def float_weight(tensors: dict[str, torch.Tensor], card: dict[str, object]) -> None:
    tensors[f"{LAYER}.weight"] = tensors[f"{LAYER}.weight"].float()


def few_scales(tensors: dict[str, torch.Tensor], card: dict[str, object]) -> None:
    tensors[f"{LAYER}.scale"] = tensors[f"{LAYER}.scale"][:1].clone()


def no_number(tensors: dict[str, torch.Tensor], card: dict[str, object]) -> None:
    tensors[f"{LAYER}.scale"][0] = torch.nan


def empty_range(tensors: dict[str, torch.Tensor], card: dict[str, object]) -> None:
    tensors[f"{LAYER}.range"] = torch.zeros(2)


@pytest.mark.parametrize("change", [no_scale, no_weight, float_weight, few_scales, no_number, empty_range])
def test_a_layer_that_is_not_whole_is_named(path: Path, change: Callable[..., None]) -> None:
    with pytest.raises(DamagedWeightsError, match=rf"a range for {LAYER} in .*; export it again"):
        load_exported(rewrite(path, change))


def test_a_later_format_is_refused(path: Path) -> None:
    with pytest.raises(UnknownCheckpointError, match=r"of format 1, got 2 in .*; update this pack"):
        load_exported(rewrite(path, lambda _, card: card.update(format=2)))


@pytest.mark.parametrize("card", ["", "[]", "{}", "null"])
def test_a_header_that_cannot_be_read_is_refused(path: Path, card: str) -> None:
    save_file(read_state_dict(path), path, {CARD: card})
    with pytest.raises(DamagedWeightsError, match="Expected the header of an exported network"):
        load_exported(path)


def test_a_file_that_is_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DamagedWeightsError, match=r"cut short|tiny8"):
        load_dialled(path)
    with pytest.raises(WeightsNotFoundError):
        load_dialled(path.with_name("none.safetensors"))
