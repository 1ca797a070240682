"""Headers of safetensors files that are changed as a stranger might; the files' numbers are holes, and take no room.

A change is four bytes: which tensor, what is done to it, and two that say how.
"""

import json
import os
import re
import struct
from collections.abc import Callable, Mapping
from itertools import islice
from math import prod
from pathlib import Path

import torch
from torch import nn

Header = dict[str, tuple[str, tuple[int, ...]]]
"""The type and the size of every tensor."""

_SIZES = (0, 1, 2, 3, 7, 16, 31, 32, 33, 64, 96, 1 << 10, 1 << 16, 1 << 22, 1 << 40, (1 << 63) - 1)
_NUMBERS = ("0", "1", "2", "7", "63", "999", "5999", "99999999999", "9" * 40, "9" * 5000, "-1", "", "\u00b2", "\u0663")
_TYPES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "U8": 1, "BOOL": 1, "F8_E4M3": 1}
_BEFORE = ("module.", "model.diffusion_model.", "first_stage_model.", "dcm.", "vae.", "x.", ".", "encoder.")
_CHANGES = 8
_LARGEST = 16 << 20  # bytes of a tensor
_COPIES = 300


def header_of(make: Callable[[], nn.Module], prefix: str = "") -> Header:
    """Of a file that holds a network."""
    with torch.device("meta"):
        state = make().state_dict()
    return {prefix + key: ("F32", tuple(value.shape)) for key, value in state.items()}


def changed(header: Header, data: bytes) -> Header:
    """The header after what the first of these bytes say."""
    header = dict(header)
    for which, what, how, more in islice(zip(*(data[i::4] for i in range(4)), strict=False), _CHANGES):
        if header:
            name = list(header)[(which | (what >> 4) << 8) % len(header)]
            _DO[what % len(_DO)](header, name, how, more)
    return header


def write(path: Path, header: Header, metadata: Mapping[str, str] | None = None) -> None:
    """Write a file whose numbers are all zeros."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (kind, shape) in header.items():
        begin, end = end, end + _TYPES[kind] * prod(shape)
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + end)


def _resize(header: Header, name: str, shape: list[int]) -> None:
    """Give a tensor a size; one that no file could hold becomes long and thin, or has no numbers at all."""
    kind, _ = header[name]
    if prod(shape) * _TYPES[kind] > _LARGEST:
        shape = [max(shape), *[1] * (len(shape) - 1)]
    if prod(shape) * _TYPES[kind] > _LARGEST:
        shape = [*shape[:1], 0, *shape[2:]]
    header[name] = kind, tuple(shape)


def _drop(header: Header, name: str, _how: int, _more: int) -> None:
    del header[name]


def _renumber(header: Header, name: str, how: int, more: int) -> None:
    """Another number in a name."""
    numbers = list(re.finditer(r"\d+", name))
    if numbers:
        found = numbers[more % len(numbers)]
        header[name[: found.start()] + _NUMBERS[how % len(_NUMBERS)] + name[found.end() :]] = header.pop(name)


def _side(header: Header, name: str, how: int, more: int) -> None:
    """Another side."""
    shape = list(header[name][1])
    if shape:
        shape[more % len(shape)] = _SIZES[how % len(_SIZES)]
        _resize(header, name, shape)


def _thin(header: Header, name: str, how: int, more: int) -> None:
    """One long side, and all others 1."""
    shape = [1] * max(len(header[name][1]), 1)
    shape[more % len(shape)] = _SIZES[how % len(_SIZES)]
    _resize(header, name, shape)


def _rank(header: Header, name: str, how: int, more: int) -> None:
    """More sides, or fewer."""
    shape = list(header[name][1])
    _resize(header, name, shape[: how % 5] if more % 2 else [*shape, *[1] * (how % 5)])


def _retype(header: Header, name: str, how: int, _more: int) -> None:
    """Other numbers."""
    header[name] = list(_TYPES)[how % len(_TYPES)], header[name][1]
    _resize(header, name, list(header[name][1]))


def _rename(header: Header, name: str, how: int, more: int) -> None:
    """Something else before a name, or without its beginning or end."""
    before = (_BEFORE[how % len(_BEFORE)] + name, name.partition(".")[2], name.rpartition(".")[0], name.upper())
    header[before[more % len(before)]] = header.pop(name)


def _copy(header: Header, name: str, how: int, more: int) -> None:
    """The same tensor under many numbers."""
    numbers = list(re.finditer(r"\d+", name))
    if numbers:
        found = numbers[more % len(numbers)]
        for number in range(how * _COPIES // 255):
            header.setdefault(f"{name[: found.start()]}{number}{name[found.end() :]}", header[name])


_DO = (_drop, _renumber, _side, _thin, _rank, _retype, _rename, _copy)
