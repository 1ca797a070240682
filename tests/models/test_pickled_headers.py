"""Headers of safetensors files and tokenizers that lie."""

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from textovsr.core.degrade.parameters import Degradation
from textovsr.core.errors import TextOVSRError
from textovsr.core.submit.workflow import load_workflow
from textovsr.core.text.vlm_folders import list_vlms
from textovsr.core.weights_shapes import read_shapes
from textovsr.models.exported import CARD, load_exported
from textovsr.models.registry import read_metadata, read_state_dict
from textovsr.models.sdatc.checkpoint import read_header
from textovsr.tests.helpers.hostile import refused


def header(path: Path, content: object, length: int | None = None) -> Path:
    """A safetensors file with four bytes of data."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(4))
    return path


def entry(shape: object, offsets: object, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


LYING = {
    "2**63": ({"a": entry([1], [0, 4])}, 1 << 63),
    "longer than the file": ({"a": entry([1], [0, 4])}, 1 << 40),
    "data outside": ({"a": entry([100], [0, 400])}, None),
    "no list": (b"[1, 2]", None),
    "nothing": (b"", None),
    "no numbers": ({"a": entry(["1"], ["0", "4"])}, None),
    "fractions": ({"a": entry([1.5], [0, 4])}, None),
    "deep": (b"[" * 100_000, None),
    "deep objects": (b'{"a":' * 100_000, None),
    "no entry": ({"a": 1}, None),
    "far": (b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, ' + b"9" * 4300 + b"]}}", None),
    "half a byte": ({"a": entry([1], [0, 3.5])}, None),
    "not a number": (b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, Infinity]}}', None),
}
LYING_OF_DATA = {
    "overlap": {"a": entry([1], [0, 4]), "b": entry([1], [0, 4])},
    "hole": {"a": entry([0], [4, 4])},
    "unknown type": {"a": entry([1], [0, 4], "X99")},
    "product overflows": {"a": entry([1 << 40, 1 << 40], [0, 4])},
    "negative": {"a": entry([-1], [0, 4])},
}


@pytest.mark.parametrize("name", LYING)
def test_a_header_that_lies_is_named(name: str, tmp_path: Path) -> None:
    path = header(tmp_path / "net.safetensors", *LYING[name])
    for read in (read_state_dict, read_metadata, read_shapes):
        refused(path, "Expected", read)


@pytest.mark.parametrize("name", LYING_OF_DATA)
def test_a_header_that_lies_about_data_is_named_when_they_are_read(name: str, tmp_path: Path) -> None:
    path = header(tmp_path / "net.safetensors", LYING_OF_DATA[name])
    for read in (read_state_dict, read_metadata):
        refused(path, "Expected a whole checkpoint", read)


def test_a_long_header_is_not_parsed(tmp_path: Path) -> None:
    path = header(tmp_path / "net.safetensors", b'{"__metadata__": {"a": "' + b"x" * 26_000_000 + b'"}}')
    refused(path, "header is damaged", read_shapes)


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_a_long_tokenizer_is_not_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, 100 << 30)
    refused(path, "Expected a tokenizer", read_shapes)


def test_a_tokenizer_of_many_levels_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b'{"model":' * 100_000)
    refused(tmp_path / "tokenizer.json", "Expected a tokenizer", read_shapes)


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_json_of_many_levels_is_named(deep: str, tmp_path: Path) -> None:
    """Workflows, parameters, model cards and folders of models: whatever of it we read ourselves."""
    workflow = tmp_path / "workflow.json"
    workflow.write_text(deep)
    with pytest.raises(TextOVSRError, match="Expected a workflow in API format"):
        load_workflow(str(workflow))
    workflow.write_text('{"1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": 1}}}')
    assert load_workflow(str(workflow), [f"1.file={deep}"]).prompt["1"]["inputs"]["file"] == deep
    with pytest.raises(TextOVSRError, match="Expected the parameters"):
        Degradation.from_json(deep)
    with pytest.raises(TextOVSRError, match="Expected sizes and trained steps"):
        read_header({"config": deep, "steps": "1"}, "net")
    save_file({"a": torch.zeros(1)}, tmp_path / "int8.safetensors", {CARD: deep})
    with pytest.raises(TextOVSRError, match="Expected the header of an exported network"):
        load_exported(tmp_path / "int8.safetensors")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(deep)
    (tmp_path / "model" / "a.safetensors").touch()
    assert list_vlms([tmp_path]) == {}
