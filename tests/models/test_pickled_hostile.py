"""Files of weights that mean harm: each is refused in a sentence, at once, and takes no more memory than it has."""

import io
import itertools
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.weights_shapes import read_shapes
from textovsr.models import pickle_scan, torchscript
from textovsr.models.pickled import open_pickled
from textovsr.models.registry import load_network, read_state_dict
from textovsr.models.sdatc.dcm import Dcm, DcmConfig
from textovsr.models.torchscript import read_torchscript
from textovsr.tests.helpers.hostile import MEMORY, grown, refused
from textovsr.tests.helpers.networks import tiny_network

HUGE = 1 << 36
"""Numbers: 256 GiB of float32."""


def packed(operations: bytes) -> bytes:
    return b"\x80\x02" + operations + b"."


def of(value: object) -> bytes:
    """What puts a value on the stack, and nothing into the memo."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 2)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()[2:-1]


def called(module: str, name: str, *arguments: object) -> bytes:
    """A pickle that calls something."""
    return packed(b"c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(map(of, arguments)) + b"tR")


def tensor(numbers: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A pickle of {"a": tensor}, whose storage is the record 0."""
    storage = b"(" + of("storage") + b"ctorch\nFloatStorage\n" + of("0") + of("cpu") + of(numbers) + b"tQ"
    parts = storage + of(0) + of(size) + of(stride) + b"\x89ccollections\nOrderedDict\n)R"
    return packed(b"}" + of("a") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + parts + b"tRs")


def archive(path: Path, data: bytes, record: bytes = bytes(64), kind: int = zipfile.ZIP_STORED) -> Path:
    """A checkpoint as ``torch.save`` writes it."""
    with zipfile.ZipFile(path, "w", kind) as file:
        records = {"data.pkl": data, "version": b"3\n", "byteorder": b"little", "data/0": record}
        for name, content in records.items():
            file.writestr(f"archive/{name}", content)
    return path


HOSTILE = {
    "os.system": (called("os", "system", "true"), r"asks for os\.system"),
    "eval": (called("builtins", "eval", "1"), r"asks for builtins\.eval"),
    "getattr": (called("builtins", "getattr", "a", "b"), r"asks for builtins\.getattr"),
    "import": (called("importlib", "import_module", "os"), r"asks for importlib\.import_module"),
    "bytes of nothing": (called("builtins", "bytearray", HUGE), r"asks for builtins\.bytearray"),
    "the same of old": (called("__builtin__", "bytearray", HUGE), r"asks for __builtin__\.bytearray"),
    "empty tensor": (called("torch", "Tensor", HUGE), r"asks for torch\.Tensor"),
    "tensor without memory": (
        called("torch._utils", "_rebuild_meta_tensor_no_storage", 0),
        "asks for torch._utils._rebuild_meta",
    ),
    "sparse": (called("torch._utils", "_rebuild_sparse_tensor", 0), "asks for torch._utils._rebuild_sparse"),
    "subclass": (called("torch._tensor", "_rebuild_from_type_v2", 0), "asks for torch._tensor._rebuild_from_type"),
    "name out of the memo": (packed(of("os") + of("system") + b"\x93"), "asks for what it does not name"),
    "registered extension": (packed(b"\x82\x01"), "asks for"),
    "high memo": (packed(b"}r\xff\xff\xff\xff"), "numbers something 4294967295"),
    "text that is not there": (packed(b"\x8d" + struct.pack("<Q", 1 << 60) + b"x"), "Expected a whole checkpoint"),
    "repeated numbers": (tensor(16, (1 << 20, 1 << 20), (0, 0)), "all of their numbers"),
    "storage that lies": (tensor(HUGE, (HUGE,), (1,)), "Expected a whole checkpoint"),
    "beyond the storage": (tensor(16, (1000,), (1,)), "Expected a whole checkpoint"),
    "negative": (tensor(16, (4,), (-1,)), "Expected a whole checkpoint"),
    "cut short": (b"\x80\x02}", "Expected a whole checkpoint"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pickle_gets_nothing_but_tensors(name: str, tmp_path: Path) -> None:
    content, match = HOSTILE[name]
    path = archive(tmp_path / "net.pt", content)
    refused(path, match)
    refused(path, match, lambda path: read_state_dict(path, mapped=True))
    refused(path, match, read_shapes)
    if "storage" not in name:  # a file of before torch 1.6 has none of its own
        path.write_bytes(content)
        refused(path, "asks for|numbers something|Expected a whole checkpoint")


def test_a_compressed_record_is_not_unpacked(tmp_path: Path) -> None:
    path, numbers = tmp_path / "bomb.pt", 1 << 23
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", tensor(numbers, (numbers,), (1,)))
        file.writestr("archive/version", b"3\n")
        with file.open("archive/data/0", "w") as record:
            for _ in range(2):
                record.write(bytes(1 << 24))
    assert path.stat().st_size < 1 << 20
    refused(path, "is compressed")
    refused(path, "is compressed", read_torchscript)


def test_records_do_not_share_their_bytes(tmp_path: Path) -> None:
    """Many names in the directory of a zip file may lead to one place in it."""
    path = archive(tmp_path / "shared.pt", tensor(16, (16,), (1,)), bytes(1 << 20))
    with zipfile.ZipFile(path, "a") as file:
        one = file.getinfo("archive/data/0")
        file.filelist += [one] * 1000
        file._didModify = True
    refused(path, "overlap")


def test_a_pickle_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_scan, "LONGEST_PICKLE", 10_000)
    refused(archive(tmp_path / "long.pt", packed(b"N0" * 10_000 + b"}")), "more than 0 MB")
    (tmp_path / "old.pt").write_bytes(packed(b"N0" * 10_000 + b"}"))
    refused(tmp_path / "old.pt", "more than 0 MB")


def test_numpy_s_objects_are_code(tmp_path: Path) -> None:
    torch.save({"a": np.array(["x"], dtype=object)}, tmp_path / "objects.pt")
    refused(tmp_path / "objects.pt", r"asks for numpy\.")


def test_deep_lists_are_no_danger(tmp_path: Path) -> None:
    assert open_pickled(archive(tmp_path / "deep.pt", packed(b"]" * 100_000 + b"a" * 99_999))) == {}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".ckpt"])
def test_only_files_are_opened(suffix: str, tmp_path: Path) -> None:
    folder, device, pipe = (tmp_path / f"{name}{suffix}" for name in ("folder", "device", "pipe"))
    folder.mkdir()
    device.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    for path in (folder, device, pipe):
        with pytest.raises(WeightsNotFoundError):
            read_state_dict(path)


def scripted(path: Path, module: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/constants.pkl", b"\x80\x02).")
        file.writestr("net/data.pkl", module)
    return path


def test_a_torchscript_archive_s_modules_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty modules, each holding the one before twice, are 2**40 names."""
    monkeypatch.setattr(torchscript, "_MOST", 10_000)
    content = b"\x80\x02c__torch__\nNet\n)\x81q\x00"
    for number in range(40):
        held = b"h" + bytes([number])
        content += b"c__torch__\nNet\n)\x81}(" + of("a") + held + of("b") + held + b"ub" + b"q" + bytes([number + 1])
    refused(scripted(tmp_path / "laughs.pt", content + b"."), "more than 10000 modules", read_torchscript)


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (called("os", "system", "true"), r"asks for os\.system"),
        (packed(b"}r\xff\xff\xff\x7f"), "numbers something"),
        (packed(b"c__torch__\nNet\n)\x81q\x00}" + of("a") + b"h\x00sb"), "recursion"),
    ],
)
def test_a_torchscript_archive_gets_nothing_but_modules(module: bytes, match: str, tmp_path: Path) -> None:
    refused(scripted(tmp_path / "evil.pt", module), match, read_torchscript)


def test_an_archive_that_is_no_torchscript_is_named(tmp_path: Path) -> None:
    refused(archive(tmp_path / "plain.pt", tensor(16, (16,), (1,))), "TorchScript archive", read_torchscript)


def lied(state: dict[str, torch.Tensor], key: str, first: int) -> dict[str, torch.Tensor]:
    """The same, but one tensor is long and thin: a network of that width would be its square."""
    return {**state, key: torch.zeros(first, *(1 for _ in state[key].shape[1:]))}


@pytest.mark.parametrize("key", ["basicvsr.fusion.weight", "basicvsr.text_proj.0.weight", "image_cleaning.1.weight"])
def test_a_network_is_not_made_before_its_sizes_are_borne_out(key: str) -> None:
    state = lied(dict(tiny_network().state_dict()), key, 1_000_000)

    def attempt() -> None:
        with pytest.raises(UnknownCheckpointError, match="does not fit"):
            load_network(state)

    assert grown(attempt) < MEMORY


def test_numbers_in_keys_do_not_count_layers_that_are_not_there() -> None:
    state = dict(tiny_network().state_dict())
    state["basicvsr.spynet.basic_module.999999999.weight"] = torch.zeros(1)
    with pytest.raises(UnknownCheckpointError, match="counts more layers"):
        load_network(state)


@pytest.mark.parametrize("window", [-1, 257, 1 << 40])
def test_windows_that_no_size_bears_out_are_refused(window: int) -> None:
    """Frames are filled up to whole windows: one number in a file would take any amount of memory."""
    key = "basicvsr.backward_cross_attn.attention_window"
    with pytest.raises(UnknownCheckpointError, match=f"an attention window of {window} pixels"):
        load_network({**tiny_network().state_dict(), key: torch.tensor(window)})


def test_sizes_that_do_not_go_together_are_refused() -> None:
    state = Dcm(DcmConfig(channels=2, groups=1, depth=1, heads=1)).state_dict()
    table = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"
    for shape, match in (((225, 3), "channels divisible by heads"), (((1 << 20), 1), "windows of 512 pixels")):
        with pytest.raises(UnknownCheckpointError, match=match):
            load_network({**state, table: torch.zeros(shape)})


def test_what_torch_saves_is_read(tmp_path: Path) -> None:
    """Types, views, parameters, tied tensors, attributes: nothing of it is taken for harm."""
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
    base = torch.arange(24.0).reshape(4, 6)
    state = {str(kind): torch.ones(3, dtype=kind) for kind in kinds}
    state |= {"view": base[:, ::2], "turned": base.T, "one": torch.tensor(3.0), "none": torch.zeros(0, 3)}
    state |= {"parameter": torch.nn.Parameter(base), "tied": base}
    whole = {"state_dict": state, "epoch": 3, "device": torch.device("cpu"), "size": base.shape, "type": torch.float16}
    whole["words"] = {"complex": 1j, "set": {1}, "tuple": (None, True, 2**70, "\u00e9", b"bytes")}
    for (number, zipped), mapped in itertools.product(enumerate((True, False)), (True, False)):
        path = tmp_path / f"net{number}.pt"
        torch.save(whole, path, _use_new_zipfile_serialization=zipped)
        found = read_state_dict(path, mapped)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[key].float(), state[key].float()) for key in state)


def test_a_name_that_the_host_trusts_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "fraction.pt"
    torch.save({"a": torch.ones(1), "b": np.float64(3)}, path)
    asked = [np._core.multiarray.scalar, np.dtype, type(np.dtype("float64"))]
    trusted = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(DamagedWeightsError, match=r"asks for numpy.*scalar"):
            open_pickled(path)
        with torch.serialization.safe_globals(asked):
            assert open_pickled(path)["b"] == 3
    finally:
        torch.serialization.add_safe_globals(trusted)


def test_tensors_cannot_hide_in_the_folder_of_the_code(tmp_path: Path) -> None:
    path = tmp_path / "hidden.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net/code/constants.pkl", b"\x80\x02).", zipfile.ZIP_STORED)
        file.writestr("net/code/data.pkl", tensor(16, (16,), (1,)), zipfile.ZIP_STORED)
        file.writestr("net/code/data/0", bytes(64))
    refused(path, "its tensors lie in net/code", read_torchscript)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net/constants.pkl", b"\x80\x02).", zipfile.ZIP_STORED)
        file.writestr("net/code/data.pkl", bytes(64))
    refused(path, "is compressed", read_torchscript)
