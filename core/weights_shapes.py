"""What a weights file holds: the keys that tell networks apart and the sizes of their tensors, which are not read."""

import json
import operator
import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ..models.catalog import SUFFIXES
from ..models.published import SYSTEMS
from .errors import DamagedWeightsError

WEIGHTS_SUFFIXES = (*SUFFIXES, ".bin")

TOKENIZERS = ("tokenizer.json", "spiece.model")
"""What the name of a tokenizer's file ends in."""

Shapes = Mapping[str, tuple[int, ...]]
"""The keys of a file, or those that tell networks apart, and the sizes of its tensors."""

_TELLING = tuple(
    {
        key
        for system in SYSTEMS
        for needed in system.needs
        for keys in (needed.keys, *needed.layouts, needed.without)
        for key in keys
    }
)

_LONGEST_HEADER = 25_000_000  # of a safetensors file, in bytes; the largest known have a million
_LONGEST_VOCABULARY = 100_000_000  # of a tokenizer, in bytes; the largest known have 17 million
_LARGEST_FILE = 1 << 62  # in bytes
_UNMAPPED = 100_000_000  # bytes of a file of before torch 1.6, which has to be read whole to be looked into
_SENTINELS = 100  # pieces that T5 adds to those of its SentencePiece file


def read_shapes(path: Path) -> Shapes:
    """The keys of a file that tell networks apart, and the sizes of their tensors, which are not read.

    Memory: the answers for the files that were looked into last are kept.

    Raises:
        DamagedWeightsError: the file is cut short or holds code.
    """
    stat = path.stat()
    return _read_shapes(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read_shapes(path: Path, size: int, changed: int) -> Shapes:
    return {key: shape for key, shape in _all_shapes(path, size).items() if key.endswith(_TELLING)}


def _all_shapes(path: Path, size: int) -> Shapes:
    if path.name.endswith(TOKENIZERS):
        return _vocabulary(path, size)
    if path.suffix != ".safetensors":
        from ..models.pickled import open_pickled, tensors_of  # loads torch, which a listing can do without

        with path.open("rb") as file:
            if file.read(2) != b"PK" and size > _UNMAPPED:
                return {}
        return {key: tuple(value.shape) for key, value in tensors_of(open_pickled(path, mapped=True)).items()}
    return _header_shapes(path, size)


def _vocabulary(path: Path, size: int) -> Shapes:
    """Of a tokenizer: its kind, and how many pieces it knows."""
    try:
        if size > _LONGEST_VOCABULARY:
            raise ValueError("too long")
        if path.suffix == ".model":
            from .text.t5_tokens import load_tokenizer  # needs a package: a listing without such files does not

            return {"tokenizer.Unigram": (load_tokenizer(path).get_vocab_size() + _SENTINELS,)}
        model = json.loads(path.read_bytes())["model"]
        return {f"tokenizer.{model['type']}": (len(model["vocab"]),)}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DamagedWeightsError(
            f"Expected a tokenizer in {path} ({size} bytes), got something else; download or copy it again."
        ) from error


def _header_shapes(path: Path, size: int) -> Shapes:
    """From the header of a safetensors file, which says where its data end."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        header = file.read(length) if length + 8 <= size and length <= _LONGEST_HEADER else b""
    try:
        entries = {key: value for key, value in json.loads(header).items() if key != "__metadata__"}
        end = 8 + length + max((operator.index(value["data_offsets"][1]) for value in entries.values()), default=0)
        if end > _LARGEST_FILE:
            raise ValueError("too far")  # it may have more digits than can be written
        shapes = {key: tuple(map(operator.index, value["shape"])) for key, value in entries.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedWeightsError(
            f"Expected a whole safetensors file, got {path} ({size} bytes), whose header is damaged; download or copy "
            "it again."
        ) from error
    if end > size:
        raise DamagedWeightsError(
            f"Expected {end} bytes in {path}, got {size}: it is cut short; download or copy it again."
        )
    return shapes
