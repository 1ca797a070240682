"""The fidelity dial: the ends are what they are, the middle lies between, and what cannot be dialled says so."""

from pathlib import Path

import pytest
import torch

from textovsr.core.errors import SettingError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.models.catalog import detail_end, list_weights
from textovsr.models.dial import load_dialled
from textovsr.models.registry import read_state_dict, save_weights
from textovsr.tests.helpers.networks import tiny_network


@pytest.fixture
def ends(tmp_path: Path) -> Path:
    path = tmp_path / "own.safetensors"
    for seed, end in enumerate((path, detail_end(path))):
        save_weights(tiny_network(seed).state_dict(), end, {})
    return path


@pytest.mark.parametrize("fidelity", [0.0, 0.25, 1.0])
def test_weights_lie_between_the_ends(ends: Path, fidelity: float) -> None:
    faithful, detailed = (tiny_network(seed).half().float().state_dict() for seed in (0, 1))
    for key, value in load_dialled(ends, fidelity).state_dict().items():
        expected = fidelity * faithful[key] + (1 - fidelity) * detailed[key] if value.is_floating_point() else value
        torch.testing.assert_close(value, expected, msg=key)


def test_a_detail_end_may_hold_only_what_differs(ends: Path) -> None:
    whole = read_state_dict(detail_end(ends))
    save_weights({key: value for key, value in whole.items() if "text_encoder" not in key}, detail_end(ends), {})
    faithful, dialled = load_dialled(ends).state_dict(), load_dialled(ends, 0.0).state_dict()
    for key, value in dialled.items():
        expected = faithful[key] if "text_encoder" in key else whole[key].to(value.dtype)
        assert torch.equal(value, expected), key


@pytest.mark.parametrize("key", ["basicvsr.conv_last.weight", "somewhere.weight"])
def test_a_part_of_another_network_is_refused(ends: Path, key: str) -> None:
    save_weights({key: torch.zeros(3, 3, 3, 3)}, detail_end(ends), {})
    with pytest.raises(UnknownCheckpointError, match="detail"):
        load_dialled(ends, 0.5)


def test_the_ends_give_different_pictures_and_the_middle_another(ends: Path) -> None:
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    first, middle, last = (load_dialled(ends, fidelity).clean(frames) for fidelity in (1.0, 0.5, 0.0))
    assert not torch.equal(first, middle)
    assert not torch.equal(middle, last)


def test_weights_with_one_end_say_so(ends: Path) -> None:
    detail_end(ends).unlink()
    assert load_dialled(ends) is not None
    with pytest.raises(
        WeightsNotFoundError, match=r"Expected a detail end own-detail\.safetensors .* set the fidelity"
    ):
        load_dialled(ends, 0.9)


@pytest.mark.parametrize("fidelity", [-0.1, 1.1, float("nan")])
def test_a_dial_out_of_range_is_refused(ends: Path, fidelity: float) -> None:
    with pytest.raises(SettingError, match="Expected a fidelity from 0"):
        load_dialled(ends, fidelity)


def test_ends_of_two_networks_are_refused(ends: Path) -> None:
    save_weights(tiny_network(channels=16).state_dict(), detail_end(ends), {})
    with pytest.raises(UnknownCheckpointError, match="to be the same network"):
        load_dialled(ends, 0.5)


def test_a_detail_end_is_no_choice_of_its_own(ends: Path) -> None:
    save_weights(tiny_network().state_dict(), ends.with_name("alone-detail.safetensors"), {})
    names = list_weights([ends.parent])
    assert names[-2:] == ["alone-detail.safetensors", "own.safetensors"]
    assert "own-detail.safetensors" not in names
