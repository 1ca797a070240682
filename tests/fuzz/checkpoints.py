"""Fuzz targets for files of weights, none of which may run code, whatever they hold."""

import re
import zipfile
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from textovsr.core.convert_weights import convert_weights
from textovsr.core.errors import DiskFullError, WeightsError
from textovsr.core.weights import find_system, holds
from textovsr.core.weights_shapes import read_shapes
from textovsr.models.clip_text import ClipTextConfig
from textovsr.models.registry import load_network, read_metadata, read_state_dict
from textovsr.models.sdatc.dcm import Dcm, DcmConfig
from textovsr.models.text_ovsr import TextOVSR
from textovsr.models.torchscript import is_torchscript, read_torchscript
from textovsr.tests.helpers.networks import TINY

from .media import scratch

_SIZES = (0, 1, 2, 3, 7, 8, 9, 64, 1 << 10, 1 << 16, 1 << 31, 1 << 62)
_CHANGES = 8  # tensors of a network
_PICKLED = {"archive/data.pkl": b"", "archive/version": b"3\n", "archive/byteorder": b"little"}
_SCRIPT = {"archive/constants.pkl": b"(.", "archive/version": b"3\n"}


def fuzz_header(data: bytes) -> None:
    """The header of a safetensors file as our lists of weights read it."""
    with scratch(data, "safetensors") as path, suppress(WeightsError):
        shapes = read_shapes(path)
        for needed in find_system("mgld").needs:
            holds(needed, shapes)


def fuzz_tokenizer(data: bytes) -> None:
    """A tokenizer's vocabulary."""
    with scratch(data, "tokenizer.json") as path, suppress(WeightsError):
        read_shapes(path)


def fuzz_pieces(data: bytes) -> None:
    """A tokenizer's vocabulary in SentencePiece's own form."""
    with scratch(data, "spiece.model") as path, suppress(WeightsError):
        read_shapes(path)


def fuzz_safetensors(data: bytes) -> None:
    """A safetensors file, loaded whole."""
    with scratch(data, "safetensors") as path, suppress(WeightsError):
        read_metadata(path)
        load_network(read_state_dict(path))


def fuzz_pickle(data: bytes) -> None:
    """A pickled checkpoint; the first byte chooses whether the rest is the file, or the pickle in a whole archive."""
    with scratch(data[1:], "pt") as path, suppress(WeightsError):
        if data[:1] > b"\x7f":
            _archive(path, {**_PICKLED, "archive/data.pkl": data[1:]})
        read_shapes(path)
        for tensor in read_state_dict(path).values():
            tensor.flatten()[:4].tolist()


def fuzz_convert(data: bytes) -> None:
    """A pickled checkpoint, as for ``fuzz_pickle``, becomes safetensors, which are read; an odd byte halves them."""
    with scratch(data[1:], "pt") as path, suppress(WeightsError, DiskFullError):
        if data[:1] > b"\x7f":
            _archive(path, {**_PICKLED, "archive/data.pkl": data[1:]})
        output = path.with_suffix(".safetensors")
        try:
            done = convert_weights(path, output, half=bool(data and data[0] & 1))
            assert len(read_state_dict(output)) == done.tensors
        finally:
            output.unlink(missing_ok=True)


def fuzz_torchscript(data: bytes) -> None:
    """A TorchScript archive; the first byte is as for ``fuzz_pickle``."""
    with scratch(data[1:], "pt") as path, suppress(WeightsError):
        if data[:1] > b"\x7f":
            _archive(path, {**_SCRIPT, "archive/data.pkl": data[1:]})
        if is_torchscript(path):
            for tensor in read_torchscript(path).values():
                tensor.flatten()[:4].tolist()


def fuzz_registry(data: bytes) -> None:
    """Keys and shapes: the first byte chooses the network, every three after it change a tensor of it.

    The second of the three says how: it takes the tensor away, gives its key another number, or changes one of its
    sides; one without sides gets another value.
    """
    states = _states()
    state = dict(states[data[0] % len(states)] if data else states[0])
    changes = data[1 : 1 + _CHANGES * 3]
    for key, change, size in zip(*(changes[i::3] for i in range(3)), strict=False):
        if state:
            _change(state, list(state)[key % len(state)], change, _SIZES[size % len(_SIZES)])
    with suppress(WeightsError):
        load_network(state)


def _change(state: dict[str, Tensor], name: str, change: int, size: int) -> None:
    value, shape = state[name], list(state[name].shape)
    if change == 0:
        del state[name]
    elif change == 1:
        state[re.sub(r"\d+", str(size), name, count=1)] = state.pop(name)
    elif shape:
        shape[change % len(shape)] = size
        with suppress(RuntimeError):  # more elements than can be counted: no file could hold it either
            state[name] = torch.zeros((), dtype=value.dtype).expand(shape)
    else:
        state[name] = torch.tensor(size)


@cache
def _states() -> tuple[dict[str, Tensor], ...]:
    """Of networks as small as can be, since each is built anew for every input; without memory for their numbers."""
    text = ClipTextConfig(width=4, layers=1, heads=1, hidden=4)
    networks = (
        TextOVSR(replace(TINY, channels=2, flow_levels=1, text_hidden=2, text=text)),
        Dcm(DcmConfig(channels=2, groups=1, depth=1, heads=1, upsampler="direct", skip="bicubic")),
    )
    return tuple(
        {key: value[(0,) * value.ndim].clone().expand(value.shape) for key, value in network.state_dict().items()}
        for network in networks
    )


def _archive(path: Path, entries: dict[str, bytes]) -> None:
    """Write a zip of these entries and one storage of 64 bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**entries, "archive/data/0": bytes(64)}.items():
            archive.writestr(name, content)
