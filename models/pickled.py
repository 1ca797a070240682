"""Pickled checkpoints (.ckpt, .pt, .pth, .bin), read without running anything of them.

``torch.load(weights_only=True)`` knows tensors, numbers and names. Checkpoints of PyTorch Lightning, MGLD-VSR's among
them, also name the classes of their callbacks: an empty class stands for each of these, so nothing of them runs.
"""

import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import DamagedWeightsError, WeightsNotFoundError
from .pickle_scan import NAMES, check_archive, check_pickles

INNER = ("state_dict", "ema", "params_ema", "params", "model", "module")
"""Under which names a checkpoint may hold the tensors when they are not at its top; the first one there counts."""

BROKEN_PICKLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)
"""What ``torch.load`` raises on a file that is cut short, holds code or is none of its own."""

_CALLBACKS = tuple(
    f"{package}.callbacks.{name}"
    for package in ("pytorch_lightning", "lightning.pytorch")
    for name in ("model_checkpoint.ModelCheckpoint", "early_stopping.EarlyStopping", "lr_monitor.LearningRateMonitor")
)
_ASKED = re.compile(r"(?:GLOBAL|Unsupported class) (\S+)")


def open_pickled(path: Path, mapped: bool = False) -> Mapping[Any, Any]:
    """What a checkpoint file holds, its tensors on the CPU.

    Args:
        path: the file.
        mapped: leave the tensors on the disk until they are used, where the file's format allows it; the file must
            not change as long as they are there.

    Returns:
        The checkpoint's mapping; an empty one if it holds something else.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: the file is truncated, no checkpoint, wants more memory than its size, or holds code, which
            is named.
    """
    if not path.is_file():
        raise WeightsNotFoundError(f"Expected a weights file at {path}, found none; check the name or download it.")
    try:
        zipped = zipfile.is_zipfile(path)
        if zipped:
            check_archive(path)
        check_pickles(path, (NAMES | _trusted()).__contains__)
        with _known_names():
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipped)
    except BROKEN_PICKLE as error:
        raise DamagedWeightsError(
            f"Expected a whole checkpoint in {path} ({path.stat().st_size} bytes), got an error: "
            f"{reason(error)}; {_advice(error)}."
        ) from error
    return checkpoint if isinstance(checkpoint, Mapping) else {}


def inner_name(checkpoint: Mapping[Any, Any]) -> str | None:
    """Under which name of ``INNER`` a checkpoint holds its tensors; None if they are at its top."""
    return next((name for name in INNER if _holds_tensors(checkpoint.get(name))), None)


def tensors_of(checkpoint: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their keys.

    Raises:
        DamagedWeightsError: one is larger than what the file holds of it.
    """
    name = inner_name(checkpoint)
    held = checkpoint if name is None else checkpoint[name]
    found = {key: value for key, value in held.items() if isinstance(value, Tensor) and isinstance(key, str)}
    check_sizes(found)
    return found


def check_sizes(tensors: Mapping[str, Tensor]) -> None:
    """Check that every tensor has all of its numbers: one that repeats a few would fill the memory when it is used.

    Raises:
        DamagedWeightsError: one has not.
    """
    for key, value in tensors.items():
        plain = value.layout is torch.strided and value.device.type == "cpu"
        if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise DamagedWeightsError(
                f"Expected tensors with all of their numbers, got {key[:100]!r} of size {tuple(value.shape)} without; "
                "get the file from where it was published."
            )


def reason(error: Exception) -> str:
    """The line that says what is wrong; torch wraps it in advice to switch its safety off."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = next((line for line in lines if line.startswith("WeightsUnpickler error")), lines[0])
    return line.partition(" Please use")[0]


def _holds_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(inner, Tensor) for inner in value.values())


def _advice(error: Exception) -> str:
    asked = _ASKED.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if asked and asked[1].rstrip(".,") in _CALLBACKS:
        return "that is a name of PyTorch Lightning, which torch 2.5 or newer can be told is no danger: update torch"
    if asked:
        return (
            f"it may hold code, which is not run: it asks for {asked[1].rstrip('.,')}. Get the file from where it was "
            "published, or a .safetensors of it"
        )
    return "it may be cut short or hold code: download it again, or convert it to safetensors"


def _known_names() -> AbstractContextManager[Any]:
    """The names that are no danger since an empty class stands for them; torch before 2.5 cannot be told."""
    allow = getattr(torch.serialization, "safe_globals", None)
    if allow is None:
        return nullcontext()
    return allow([_stand_in(name) for name in _CALLBACKS])


def _trusted() -> set[str]:
    """Names of Lightning's callbacks, and those that the host has told torch to be no danger."""
    told: list[Any] = getattr(torch.serialization, "get_safe_globals", list)()
    named = [one[1] if isinstance(one, tuple) else f"{one.__module__}.{one.__qualname__}" for one in told]
    return {*_CALLBACKS, *named}


def _stand_in(name: str) -> type:
    module, _, plain = name.rpartition(".")
    return type(plain, (), {"__module__": module})
