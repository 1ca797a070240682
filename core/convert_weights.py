"""Pickled checkpoints to safetensors, tensor by tensor: what training alone needs is left out, and named."""

import json
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..models.pickled import check_sizes, inner_name, open_pickled
from .durable import disk_full_explained, sync_file, sync_folder
from .errors import DamagedWeightsError, DiskFullError, OutputExistsError, SettingError, UnknownCheckpointError
from .space import readable
from .unfinished import unfinished

PICKLED = (".ckpt", ".pt", ".pth", ".bin")

TRAINING = ("loss.", "optimizer.", "lr_scheduler.")
"""Keys that begin with these belong to training."""

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}

Report = Callable[[int, int], None]
"""Takes the number of tensors done, of how many; may raise to cancel, and nothing is left."""


@dataclass(frozen=True)
class Converted:
    """What became of a checkpoint.

    Attributes:
        path: the new file.
        tensors: how many it holds.
        size: its bytes.
        dropped: what was left out, by the names that it went under, and how many there were of each.
    """

    path: Path
    tensors: int
    size: int
    dropped: dict[str, int]


def convert_weights(source: Path, output: Path, half: bool = False, report: Report | None = None) -> Converted:
    """Write the tensors of a pickled checkpoint as safetensors, read them back, and only then name the file.

    Peak memory: twice the largest tensor, for a file that can be mapped; all tensors once for one of before torch 1.6.

    Args:
        source: a .ckpt, .pt, .pth or .bin; nothing of it is run.
        output: a .safetensors that does not exist.
        half: keep 32-bit numbers in 16 bits.
        report: called after every tensor, twice each: written, read back.

    Raises:
        SettingError: a suffix is another.
        OutputExistsError: ``output`` exists.
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is truncated or holds code, or what was written reads back otherwise.
        UnknownCheckpointError: it holds no tensors, or of a type that safetensors has not.
        DiskFullError: there is no room.
    """
    _check_names(source, output)
    tensors, dropped = _sort_out(open_pickled(source, mapped=True))
    if not tensors:
        raise UnknownCheckpointError(f"Expected tensors in {source}, found none; choose a checkpoint.")
    check_sizes(tensors)
    header, length = _header(tensors, half, source)
    output.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(output.parent).free
    if free < len(header) + length:
        needed = readable(len(header) + length)
        raise DiskFullError(f"Expected {needed} free in {output.parent}, found {readable(free)}; free some space.")
    tell = _counter(2 * len(tensors), report)
    with unfinished(output) as part:
        with disk_full_explained(output), part.open("wb") as file:
            _write(file, header, tensors, half, tell)
        sync_file(part)
        _read_back(part, tensors, half, tell)
        part.replace(output)
    sync_folder(output.parent)
    return Converted(output, len(tensors), len(header) + length, dropped)


def _check_names(source: Path, output: Path) -> None:
    if source.suffix not in PICKLED:
        raise SettingError(f"Expected one of {', '.join(PICKLED)} to convert, got {source}; choose another file.")
    if output.suffix != ".safetensors":
        raise SettingError(f"Expected a name that ends in .safetensors, got {output}; choose another.")
    if output.exists():
        raise OutputExistsError(f"Expected no file at {output}, but there is one; choose another name or delete it.")


def _sort_out(checkpoint: Mapping[Any, Any]) -> tuple[dict[str, Tensor], dict[str, int]]:
    """The tensors to keep, and how much of what else there is."""
    inner, dropped = inner_name(checkpoint), {}
    held = checkpoint if inner is None else checkpoint[inner]
    for name in checkpoint if inner is not None else ():
        if name != inner:
            dropped[str(name)] = 1
    tensors = {}
    for key, value in held.items():
        training = next((start for start in TRAINING if str(key).startswith(start)), None)
        if isinstance(value, Tensor) and isinstance(key, str) and training is None:
            tensors[key] = value
        else:
            name = f"{training}*" if training else str(key)
            dropped[name] = dropped.get(name, 0) + 1
    return tensors, dropped


def _as_kept(value: Tensor, half: bool) -> Tensor:
    value = value.detach().contiguous()
    return value.half() if half and value.dtype == torch.float32 else value


def _kind(value: Tensor, half: bool) -> torch.dtype:
    return torch.float16 if half and value.dtype == torch.float32 else value.dtype


def _header(tensors: Mapping[str, Tensor], half: bool, source: Path) -> tuple[bytes, int]:
    """The beginning of the file, and how many bytes of tensors come after it."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt", "converted_from": source.name}}
    end = 0
    for key, value in tensors.items():
        kind = _kind(value, half)
        if kind not in _TYPES or value.layout != torch.strided:
            raise UnknownCheckpointError(
                f"Expected plain tensors in {source}, got {key} of {kind} ({value.layout}); it cannot be converted."
            )
        begin, end = end, end + value.numel() * kind.itemsize
        entries[key] = {"dtype": _TYPES[kind], "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, end


def _write(file: BinaryIO, header: bytes, tensors: Mapping[str, Tensor], half: bool, tell: Callable[[], None]) -> None:
    file.write(header)
    for value in tensors.values():
        file.write(_bytes(_as_kept(value, half)).numpy().data)
        tell()


def _read_back(path: Path, tensors: Mapping[str, Tensor], half: bool, tell: Callable[[], None]) -> None:
    try:
        with safe_open(path, framework="pt") as file:
            if set(file.keys()) != set(tensors):
                raise DamagedWeightsError(
                    f"Expected {len(tensors)} tensors in what was written, got others; try again."
                )
            for key, value in tensors.items():
                if not torch.equal(_bytes(file.get_tensor(key)), _bytes(_as_kept(value, half))):
                    raise DamagedWeightsError(f"Expected {key} as it was written, got another; check the disk.")
                tell()
    except SafetensorError as error:
        raise DamagedWeightsError(f"Expected to read back what was written, got: {error}; check the disk.") from error


def _bytes(value: Tensor) -> Tensor:
    """The content of a tensor, so that what is not a number equals itself."""
    return value.contiguous().reshape(-1).view(torch.uint8)


def _counter(total: int, report: Report | None) -> Callable[[], None]:
    done: Iterator[int] = iter(range(1, total + 1))

    def tell() -> None:
        now = next(done)
        if report is not None:
            report(now, total)

    return tell
