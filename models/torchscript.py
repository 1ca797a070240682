"""The tensors of a TorchScript archive, read without running anything of it.

``torch.jit.load`` compiles and may run the code that an archive holds. An archive is a zip file, though, in which a
pickle names the tensors and every storage is a record of its own: that is all that is read here, by an unpickler that
knows tensors, numbers and names, and nothing else.
"""

import io
import itertools
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import DamagedWeightsError
from .pickle_scan import check_archive, check_pickles
from .pickled import check_sizes

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_WRAPPERS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
_CODE = "/constants.pkl"
_BROKEN = (
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    LookupError,
    OSError,
    EOFError,
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    MemoryError,
    StopIteration,
)
_MOST = 1_000_000  # tensors and modules of an archive


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, as OpenAI's CLIP files are; nothing of it is loaded."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(_CODE) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The tensors of a TorchScript archive by their names in its modules, on the CPU; no code of it runs.

    Memory: the tensors, once.

    Raises:
        DamagedWeightsError: the archive is cut short, damaged, or its pickle wants more than tensors, numbers and
            names.
    """
    try:
        check_archive(path, with_code=True)
        check_pickles(path, lambda name: True)  # the unpickler looks at the names
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith(_CODE)).removesuffix(_CODE)
            if "/" in root:  # its records could lie in the folder of the code
                raise ValueError(f"its tensors lie in {root}")
            module = _Unpickler(archive, root).load()
        found = dict(itertools.islice(_named(module, "", []), _MOST))
    except _BROKEN as error:
        raise DamagedWeightsError(
            f"Expected a whole TorchScript archive of plain modules in {path} ({path.stat().st_size} bytes), got an "
            f"error: {error}; it may be cut short: download it again, or convert it to safetensors."
        ) from error
    check_sizes(found)
    return found


class _Module:
    """What stands for an object of any class of the archive: a bag of attributes."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _Unpickler(pickle.Unpickler):
    """Knows by name what an archive of modules needs; a pickle that asks for anything else is refused."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Map a name in the pickle to what stands for it here."""
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            **{("torch.jit._pickle", wrapper): _first for wrapper in _WRAPPERS},
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        """The storage ``pid`` names, as a flat tensor; ("storage", type, record, device, elements)."""
        _, kind, key, _, _ = pid
        if key not in self._storages:
            data = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            dtype = _STORAGES[kind]
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self._storages[key]


def _rebuild(storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> Tensor:
    """A view of a storage; torch checks that it lies within."""
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _first(value: Any, *_: object) -> Any:
    return value


def _named(module: Any, prefix: str, seen: list[object]) -> Iterator[tuple[str, Tensor]]:
    """Tensors by their names; modules that hold each other many times over would never come to an end."""
    seen.append(module)
    if len(seen) > _MOST:
        raise ValueError(f"it has more than {_MOST} modules")
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _named(value, f"{prefix}{name}.", seen)
