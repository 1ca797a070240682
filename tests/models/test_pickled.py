"""Pickled checkpoints: Lightning's, wrapped ones, tensors left on the disk, and code that is refused by name."""

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from textovsr.core.errors import DamagedWeightsError, WeightsNotFoundError
from textovsr.models.pickled import inner_name, open_pickled, tensors_of
from textovsr.models.registry import read_state_dict

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.bfloat16)}


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo this must never be printed",)


@pytest.fixture
def trusting_nobody() -> Iterator[None]:
    """ComfyUI, once it is imported, tells torch to trust that very name."""
    trusted = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.add_safe_globals(trusted)


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class that pickles as PyTorch Lightning's, which is not installed."""
    names = ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    callback = type("ModelCheckpoint", (), {"__module__": names[-1]})
    monkeypatch.setattr(sys.modules[names[-1]], "ModelCheckpoint", callback, raising=False)
    return callback


def test_the_names_of_lightning_s_callbacks_are_no_danger(
    tmp_path: Path, lightning: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MGLD-VSR's published files hold such a name: the class itself is a key of ``callbacks``."""
    path = tmp_path / "mgldvsr_unet.ckpt"
    torch.save({"epoch": 3, "state_dict": STATE, "callbacks": {lightning: {"best_model_path": "there"}}}, path)
    monkeypatch.undo()  # as it is for users: no Lightning
    found = read_state_dict(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)
    (callback,) = open_pickled(path)["callbacks"]
    assert callback.__name__ == "ModelCheckpoint"


@pytest.mark.usefixtures("trusting_nobody")
def test_a_torch_that_cannot_be_told_is_named(tmp_path: Path, lightning: type, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"state_dict": STATE, "callbacks": {lightning: {}}}, tmp_path / "net.ckpt")
    monkeypatch.delattr(torch.serialization, "safe_globals")
    with pytest.raises(DamagedWeightsError, match=r"ModelCheckpoint.*update torch\."):
        open_pickled(tmp_path / "net.ckpt")


@pytest.mark.parametrize("name", ["state_dict", "ema", "params_ema"])
def test_tensors_are_found_where_checkpoints_hold_them(tmp_path: Path, name: str) -> None:
    path = tmp_path / "wrapped.pt"
    torch.save({name: {**STATE, "note": "text"}, "step": torch.tensor(3), "model": {}}, path)
    checkpoint = open_pickled(path)
    assert inner_name(checkpoint) == name
    assert tensors_of(checkpoint).keys() == STATE.keys()


@pytest.mark.parametrize(
    ("mapped", "zipped", "asked"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_tensors_may_stay_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool, zipped: bool, asked: bool
) -> None:
    """Files of before torch 1.6 cannot be mapped, and are read."""
    path, seen, load = tmp_path / "plain.pth", [], torch.load
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    monkeypatch.setattr(torch, "load", lambda *args, **more: seen.append(more["mmap"]) or load(*args, **more))
    assert torch.equal(read_state_dict(path, mapped)["a.weight"], STATE["a.weight"])
    assert seen == [asked]


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str], zipped: bool) -> None:
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": STATE, "meta": Harmful()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DamagedWeightsError, match=r"hold code, which is not run: it asks for (posix|nt)\.system\."):
        open_pickled(path)
    path.write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(DamagedWeightsError, match=r"evil\.ckpt.*hold code"):
        open_pickled(path)
    assert "never be printed" not in capfd.readouterr().out


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"Expected a weights file at .*none\.ckpt"):
        open_pickled(tmp_path / "none.ckpt")
    torch.save([1, 2], tmp_path / "list.pt")
    assert open_pickled(tmp_path / "list.pt") == {}
