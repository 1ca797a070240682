"""Looking through a pickled checkpoint before anything of it is loaded.

``torch.load(weights_only=True)`` runs no code of a file. It does allow names, though, that take memory without the file
being large (``bytearray``, empty and meta tensors), and it unpacks compressed records of any size. Here a file has to
be what ``torch.save`` writes: stored records inside the file, and a pickle of tensors, numbers, texts and names.
"""

import io
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..core.errors import DamagedWeightsError
from .pickle_depth import DEEPEST, Nesting

LONGEST_PICKLE = 32_000_000
"""Bytes of the pickle of a checkpoint, which holds names and sizes; the largest known has two million."""

MOST_RECORDS = 200_000
"""Tensors of a checkpoint."""

_KINDS = (
    "Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat",
    "ComplexDouble", "Untyped",
)  # fmt: skip
_TYPES = (
    "float64", "double", "float32", "float", "float16", "half", "bfloat16", "int64", "long", "int32", "int", "int16",
    "short", "int8", "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128", "float8_e4m3fn",
    "float8_e5m2", "strided", "Size", "device",
)  # fmt: skip

NAMES = frozenset({
    "collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.set", "builtins.complex",
    "__builtin__.set", "__builtin__.complex", "torch.storage.UntypedStorage", "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    *(f"torch.{kind}Storage" for kind in _KINDS), *(f"torch.{name}" for name in _TYPES),
})  # fmt: skip
"""What a pickle may ask for: nothing of it takes more memory than the file holds."""

_ROOTS = ("data.pkl", "constants.pkl")
_ASKING = ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4")
_MEMO = ("PUT", "BINPUT", "LONG_BINPUT")
_PICKLES_OF_OLD = 5  # magic number, protocol, system, checkpoint, keys of storages: before torch 1.6


def check_archive(path: Path, *, with_code: bool = False) -> None:
    """Check that a zip file's records are stored as they are and lie within it: it is as large as what it holds.

    Args:
        path: the file.
        with_code: leave out what lies in the folder ``code`` below its own, which TorchScript compresses; then nobody
            may read that.

    Raises:
        DamagedWeightsError: a record is compressed, or they overlap, or there are too many; or a pickle is too long.
        zipfile.BadZipFile: it is no whole zip file.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        every = archive.infolist()
    records = [record for record in every if not (with_code and _is_code(record.filename))]
    packed = next((record.filename for record in records if record.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise _refused(path, f"the record {packed[:80]!r} is compressed")
    if len(every) > MOST_RECORDS or sum(record.file_size for record in records) > size:
        raise _refused(path, "its records overlap, or are too many")
    if any(record.file_size > LONGEST_PICKLE for record in records if record.filename.endswith(_ROOTS)):
        raise _refused(path, f"its pickle has more than {LONGEST_PICKLE / 1e6:.0f} MB")


def _is_code(name: str) -> bool:
    return name.split("/")[1:2] == ["code"] and not name.endswith(_ROOTS)


def check_pickles(path: Path, known: Callable[[str], bool] = NAMES.__contains__) -> None:
    """Check what the pickle of a checkpoint asks for; nothing is loaded.

    Args:
        path: a zip file that ``check_archive`` has passed, or one of the kind before torch 1.6.
        known: whether it may ask for a name.

    Raises:
        DamagedWeightsError: it asks for something else, which is named; or for more memory than it needs.
        ValueError: it is cut short or damaged.
    """
    for opcode, argument, position, depth in _operations(path):
        if position > LONGEST_PICKLE:
            raise _refused(path, f"its pickle has more than {LONGEST_PICKLE / 1e6:.0f} MB")
        if depth > DEEPEST:
            raise _refused(path, f"its pickle has more than {DEEPEST} tuples in each other")
        if opcode in _ASKING:
            name = str(argument).replace(" ", ".") if argument else "what it does not name"
            if not known(name):
                raise _refused(path, f"it may hold code, which is not run: it asks for {name}")
        elif opcode in _MEMO and int(str(argument)) > LONGEST_PICKLE:  # C takes as much memory as the number says
            raise _refused(path, f"its pickle numbers something {argument}")


def _operations(path: Path) -> Iterator[tuple[str, object, int, int]]:
    """Every operation of a file's pickles: its name, its argument, where it stands, how deep what it makes is."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for record in archive.infolist():
                if record.filename.endswith(_ROOTS):
                    yield from _named(io.BytesIO(archive.read(record)))
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        for _ in range(_PICKLES_OF_OLD):
            if file.tell() < size:
                yield from _named(file)


def _named(file: BinaryIO) -> Iterator[tuple[str, object, int, int]]:
    nesting = Nesting()
    try:
        for opcode, argument, position in pickletools.genops(file):
            yield opcode.name, argument, position or 0, nesting.see(opcode, argument)
    except (MemoryError, OverflowError, IndexError) as error:  # a length that no file has
        raise ValueError(f"the pickle is damaged: {error or type(error).__name__}") from error


def _refused(path: Path, why: str) -> DamagedWeightsError:
    return DamagedWeightsError(
        f"Expected a checkpoint of tensors in {path} ({path.stat().st_size} bytes), but {why}. Get the file from where "
        "it was published, or a .safetensors of it."
    )
