"""Pickled checkpoints to safetensors: every bit of every tensor, nothing of training, nothing half written."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import textovsr.core.convert_weights as convert_module
from textovsr.core.convert_weights import convert_weights
from textovsr.core.errors import (
    CancelledError,
    DamagedWeightsError,
    DiskFullError,
    OutputExistsError,
    SettingError,
    UnknownCheckpointError,
    WeightsNotFoundError,
)
from textovsr.core.weights import find_files, find_system
from textovsr.models.published import STAR_COGVIDEOX
from textovsr.models.registry import STAR, load_network, read_state_dict
from textovsr.models.star.net import StarNet
from textovsr.models.star_cog.checkpoint import transformer_keys
from textovsr.tests.helpers.rule import GOLDEN
from textovsr.tests.helpers.star import TINY, by_rule

STATE = {
    "decoder.weight": torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2),
    "decoder.half": torch.tensor([1.5, float("nan"), float("inf")], dtype=torch.float16),
    "decoder.brain": torch.ones(3, 2, dtype=torch.bfloat16),
    "decoder.step": torch.tensor(7),
    "decoder.mask": torch.tensor([True, False]),
    "decoder.nothing": torch.zeros(0, 4),
}
TRAINING = {"loss.logvar": torch.zeros(1), "loss.discriminator.weight": torch.ones(4)}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """As Lightning saves it, with a tensor that shares its numbers with another."""
    state = {**STATE, **TRAINING, "decoder.shared": STATE["decoder.weight"], "decoder.note": "text"}
    path = tmp_path / "video_vae.ckpt"
    torch.save({"state_dict": state, "optimizer_states": [{"state": {0: torch.ones(9)}}], "epoch": 3}, path)
    return path


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.nan_to_num(99), b.nan_to_num(99))


def test_every_tensor_is_kept_and_everything_else_is_named(checkpoint: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    output = tmp_path / "new" / "video_vae.safetensors"
    done = convert_weights(checkpoint, output, report=lambda *now: told.append(now))
    found = load_file(output)
    assert found.keys() == {*STATE, "decoder.shared"}
    assert all(same(found[key], value) for key, value in {**STATE, "decoder.shared": STATE["decoder.weight"]}.items())
    assert done.dropped == {"optimizer_states": 1, "epoch": 1, "loss.*": 2, "decoder.note": 1}
    assert (done.path, done.tensors, done.size) == (output, 7, output.stat().st_size)
    assert told[-1] == (14, 14)
    with safe_open(output, framework="pt") as file:
        assert file.metadata() == {"format": "pt", "converted_from": "video_vae.ckpt"}
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_half_keeps_16_bits_of_what_has_32(checkpoint: Path, tmp_path: Path) -> None:
    convert_weights(checkpoint, tmp_path / "half.safetensors", half=True)
    found = load_file(tmp_path / "half.safetensors")
    assert {key: found[key].dtype for key in STATE} == {
        key: torch.float16 if value.dtype == torch.float32 else value.dtype for key, value in STATE.items()
    }
    assert torch.equal(found["decoder.weight"], STATE["decoder.weight"].half())


def test_a_checkpoint_of_before_torch_1_6_and_a_plain_one(tmp_path: Path) -> None:
    torch.save({"ema": STATE}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(STATE, tmp_path / "plain.pth")
    for name, dropped in (("old.pt", {}), ("plain.pth", {})):
        done = convert_weights(tmp_path / name, tmp_path / f"{name}.safetensors")
        assert (done.tensors, done.dropped) == (len(STATE), dropped)


def test_star_s_file_keeps_its_network(tmp_path: Path) -> None:
    """Nested as the loader of the authors knows it; found and loaded again, under the name that says which it is."""
    net = by_rule(StarNet(TINY))
    torch.save({"state_dict": net.state_dict(), "step": 15000}, tmp_path / "light_deg.pt")
    output = tmp_path / "converted" / "light_deg.safetensors"
    done = convert_weights(tmp_path / "light_deg.pt", output)
    assert (done.tensors, done.dropped) == (len(net.state_dict()), {"step": 1})
    assert find_files(find_system("star", "light"), [output.parent])[0].path == output
    found = load_network(read_state_dict(output), [STAR]).state_dict()
    assert found.keys() == net.state_dict().keys()
    assert all(same(found[key], value) for key, value in net.state_dict().items())
    half = convert_weights(tmp_path / "light_deg.pt", tmp_path / "half" / "light_deg.safetensors", half=True)
    assert half.size < 0.55 * done.size
    assert load_network(read_state_dict(half.path), [STAR]).config == net.config


def test_the_cogvideox_version_keeps_its_network(tmp_path: Path) -> None:
    """Nested as DeepSpeed saves it, with what that puts beside it; low-rank updates stay apart, half precision half."""
    shapes = json.loads((GOLDEN / "star_cog_small_sat_manifest.json").read_text("utf-8"))
    updated = "transformer.layers.0.attention.dense"
    width, inputs = shapes.pop(f"{updated}.weight")
    shapes |= {f"{updated}.original.weight": [width, inputs], f"{updated}.matrix_A.0": [4, inputs]}
    shapes[f"{updated}.matrix_B.0"] = [width, 4]
    module = {f"model.diffusion_model.{key}": torch.randn(shape).bfloat16() for key, shape in shapes.items()}
    beside = {"buffer_names": [], "param_shapes": [{"a": torch.Size([1])}], "sparse": set(), "optimizer": None}
    torch.save({"module": module, "ds_version": "0.15", **beside}, tmp_path / "mp_rank_00_model_states.pt")
    output = tmp_path / "converted" / "star.safetensors"
    done = convert_weights(tmp_path / "mp_rank_00_model_states.pt", output, half=True)
    assert set(done.dropped) == {"ds_version", *beside}
    assert find_files(STAR_COGVIDEOX, [output.parent])[0].path == output
    found, expected = transformer_keys(load_file(output)), transformer_keys(module)
    assert found.keys() == expected.keys()
    assert all(same(found[key], value) for key, value in expected.items())


def test_what_cannot_be_converted_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    with pytest.raises(SettingError, match=r"Expected one of \.ckpt, .* got .*video\.safetensors"):
        convert_weights(tmp_path / "video.safetensors", output)
    with pytest.raises(SettingError, match=r"ends in \.safetensors"):
        convert_weights(checkpoint, tmp_path / "out.pt")
    with pytest.raises(WeightsNotFoundError, match=r"none\.ckpt"):
        convert_weights(tmp_path / "none.ckpt", output)
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(UnknownCheckpointError, match=r"Expected tensors in .*empty\.pt"):
        convert_weights(tmp_path / "empty.pt", output)
    torch.save({"a": torch.ones(2, dtype=torch.complex64)}, tmp_path / "complex.pt")
    with pytest.raises(UnknownCheckpointError, match=r"got a of torch\.complex64"):
        convert_weights(tmp_path / "complex.pt", output)
    output.write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="Expected no file at"):
        convert_weights(checkpoint, output)
    assert output.read_bytes() == b"mine"


def test_code_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("echo never",)

    torch.save({"state_dict": STATE, "meta": Harmful()}, tmp_path / "evil.ckpt")
    with pytest.raises(DamagedWeightsError, match="hold code"):
        convert_weights(tmp_path / "evil.ckpt", tmp_path / "out" / "evil.safetensors")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", [1, 8])
def test_cancelling_leaves_nothing(checkpoint: Path, tmp_path: Path, at: int) -> None:
    """While writing, and while reading back."""

    def cancel(done: int, total: int) -> None:
        if done == at:
            raise CancelledError

    with pytest.raises(CancelledError):
        convert_weights(checkpoint, tmp_path / "out" / "a.safetensors", report=cancel)
    assert not list((tmp_path / "out").iterdir())


def test_what_reads_back_otherwise_is_no_result(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[-60] ^= 1
        path.write_bytes(content)

    monkeypatch.setattr(convert_module, "sync_file", spoil)
    with pytest.raises(DamagedWeightsError, match="as it was written, got another"):
        convert_weights(checkpoint, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_full_disk_is_told_before_the_work(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(DiskFullError, match=r"Expected .* free in .*, found 0\.0 kB"):
        convert_weights(checkpoint, tmp_path / "out.safetensors")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at the memory of the process")
def test_memory_is_that_of_a_tensor(tmp_path: Path) -> None:
    """A file of 160 MB, whose tensors stay on the disk but for the one that is written."""
    torch.save({str(i): torch.full((2_000_000,), float(i)) for i in range(20)}, tmp_path / "large.pt")
    before, most = memory(), 0

    def watch(done: int, total: int) -> None:
        nonlocal most
        most = max(most, memory())

    convert_weights(tmp_path / "large.pt", tmp_path / "large.safetensors", report=watch)
    assert most - before < 60_000_000


def memory() -> int:
    """Bytes of this process that are not pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
