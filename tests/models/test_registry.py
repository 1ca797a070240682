"""Checkpoints: recognised by their keys, read safely, loaded strictly, refused with a clear word."""

import pickle
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.models.registry import load_network, read_metadata, read_state_dict, save_weights
from textovsr.models.text_ovsr import TextOVSR
from textovsr.tests.helpers.networks import TINY, save_tiny, tiny_network

SIGNATURE = "image_cleaning.1.weight"


@cache
def weights(seed: int = 0) -> dict[str, Tensor]:
    return dict(tiny_network(seed).state_dict())


def prefixed(prefix: str, seed: int = 0) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in weights(seed).items()}


class Code:
    """What a malicious checkpoint holds."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("print('this must never be printed')",))


@pytest.mark.parametrize("prefix", ["generator_ema.", "generator.", ""])
def test_a_state_dict_is_recognised_behind_every_prefix(prefix: str) -> None:
    network = load_network(prefixed(prefix))
    assert isinstance(network, TextOVSR)
    assert network.config == TINY
    assert all(torch.equal(value, weights()[key]) for key, value in network.state_dict().items())


def test_the_averaged_generator_is_preferred_and_the_rest_left_out() -> None:
    mixed = {
        **prefixed("generator.", seed=1),
        **prefixed("generator_ema."),
        "discriminator.conv_0.weight": torch.ones(1),
    }
    mixed["step_counter"] = torch.tensor(5)
    network = load_network(mixed)
    assert torch.equal(network.state_dict()[SIGNATURE], weights()[SIGNATURE])


def test_stray_position_ids_are_ignored() -> None:
    stray = "basicvsr.text_encoder.text_model.embeddings.position_ids"
    load_network({**weights(), stray: torch.arange(77)[None]})


def test_the_network_comes_ready_to_run() -> None:
    network = load_network({key: v.half() if v.is_floating_point() else v for key, v in weights().items()})
    assert not network.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_a_pickled_checkpoint_is_read(tmp_path: Path, suffix: str, wrapped: bool) -> None:
    path = tmp_path / f"net{suffix}"
    state = prefixed("generator_ema.")
    torch.save({"state_dict": state, "meta": {"epoch": 3, "time": "now"}} if wrapped else state, path)
    assert load_network(path).config == TINY


def test_a_pickle_that_holds_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": weights(), "meta": Code()}, path)
    with pytest.raises(
        DamagedWeightsError, match=r"evil\.pth.*hold code.* asks for (builtins|__builtin__)\.exec\."
    ) as caught:
        load_network(path)
    assert "add_safe_globals" not in str(caught.value)
    path.write_bytes(pickle.dumps(Code(), protocol=2))
    with pytest.raises(DamagedWeightsError, match=r"evil\.pth.*hold code"):
        load_network(path)
    assert "never be printed" not in capsys.readouterr().out


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = save_tiny(tmp_path / "tiny.safetensors")
    assert read_metadata(path) == {"licence": "none"}
    loaded = load_network(path).state_dict()
    assert all(torch.equal(loaded[k], v.half().float() if v.is_floating_point() else v) for k, v in weights().items())
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_a_pickle_has_no_model_card(tmp_path: Path) -> None:
    assert read_metadata(tmp_path / "net.pth") == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"nowhere\.safetensors, found none"):
        load_network(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(weights(), path)
    else:
        save_file(weights(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedWeightsError, match=rf"cut\{suffix} \(\d+ bytes\).*download it again"):
        load_network(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".safetensors", ".pth", ".ckpt"]))
def test_rubbish_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"rubbish{suffix}"
    path.write_bytes(content)
    with pytest.raises((DamagedWeightsError, UnknownCheckpointError), match="rubbish"):
        load_network(path)


@pytest.mark.parametrize("content", [{"model.weight": torch.ones(2)}, {}, {"epoch": 3}, [torch.ones(2)], torch.ones(2)])
def test_an_unknown_checkpoint_is_named(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(
        UnknownCheckpointError, match=r"checkpoint of TextOVSR, .*, RAFT, got .*other\.pth with keys such as"
    ):
        load_network(path)


REQUIRED = sorted(key for key in weights() if not key.endswith("attention_window"))


@settings(max_examples=40, deadline=None)
@given(missing=st.sampled_from(REQUIRED))
def test_a_missing_key_is_an_error(missing: str) -> None:
    with pytest.raises(UnknownCheckpointError, match="got the state_dict"):
        load_network({key: value for key, value in weights().items() if key != missing})


def test_a_key_too_many_is_named() -> None:
    with pytest.raises(UnknownCheckpointError, match=r"(?s)does not fit.*basicvsr\.surprise"):
        load_network({**weights(), "basicvsr.surprise": torch.ones(1)})


@settings(max_examples=30, deadline=None)
@given(key=st.sampled_from(REQUIRED), shape=st.lists(st.integers(1, 3), max_size=2))
def test_a_wrong_shape_is_an_error(key: str, shape: list[int]) -> None:
    assume(list(weights()[key].shape) != shape)
    with pytest.raises(UnknownCheckpointError, match="got the state_dict"):
        load_network({**weights(), key: torch.zeros(shape)})


def test_the_file_of_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    save_weights({key: value for key, value in weights().items() if "conv_last" not in key}, path, {})
    with pytest.raises(UnknownCheckpointError, match=r"(?s)part\.safetensors, which does not fit:.*conv_last"):
        load_network(path)


def test_only_tensors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"weight": torch.ones(2), "epoch": 4}, path)
    assert set(read_state_dict(path)) == {"weight"}
