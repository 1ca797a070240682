"""STAR's files: of any size, as published and as safetensors, whole or refused by name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import UnknownCheckpointError
from textovsr.models.registry import load_network
from textovsr.models.star.checkpoint import build_net
from textovsr.models.star.config import StarNetConfig
from textovsr.models.star.net import StarNet
from textovsr.tests.helpers.star import SMALL, TINY, small_star, tiny_star


def weights() -> dict[str, Tensor]:
    return dict(tiny_star().state_dict())


def save(path: Path, state: dict[str, Tensor]) -> Path:
    """As a file of its suffix; "nested" in its name: beside something else."""
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "step": 3} if "nested" in path.name else state, path)
    return path


def test_the_sizes_are_read_from_the_weights() -> None:
    assert StarNetConfig.from_state(weights()) == TINY
    assert StarNetConfig.from_state(small_star().state_dict()) == SMALL
    assert all(value.is_meta for value in build_net(weights()).parameters())


@pytest.mark.parametrize("name", ["nested.pt", "plain.pt", "converted.safetensors"])
def test_every_kind_of_file_is_loaded(name: str, tmp_path: Path) -> None:
    expected = weights()
    network = load_network(save(tmp_path / name, expected))
    assert isinstance(network, StarNet)
    assert network.config == TINY
    assert not network.training
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_keys_behind_the_name_of_a_parallel_run_are_found() -> None:
    network = load_network({f"module.{key}": value.half() for key, value in weights().items()})
    assert isinstance(network, StarNet)
    assert all(value.dtype == torch.float32 for value in network.parameters())


def test_what_is_missing_or_too_much_is_named(tmp_path: Path) -> None:
    missing = "VideoControlNet.zero_convs.1.0.weight"
    cut = {key: value for key, value in weights().items() if key != missing}
    with pytest.raises(UnknownCheckpointError, match=f"(?s)STAR's denoiser.*{missing}"):
        load_network(save(tmp_path / "cut.safetensors", cut))
    with pytest.raises(UnknownCheckpointError, match="stranger"):
        load_network({**weights(), "output_blocks.0.0.stranger": torch.zeros(1)})
    with pytest.raises(UnknownCheckpointError, match="middle_block"):
        load_network({key: value for key, value in weights().items() if not key.startswith("middle_block")})
    with pytest.raises(UnknownCheckpointError, match="a level without residual blocks"):
        load_network({key: value for key, value in weights().items() if not key.startswith("input_blocks.3.")})
