"""Files with the keys of published checkpoints, and hardly any content."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from textovsr.models.published import SYSTEMS, Needed

TEXT = {"text_model.embeddings.token_embedding.weight": (49408, 1024)}


def write_header(path: Path, shapes: Mapping[str, Sequence[int]]) -> Path:
    """A safetensors file of these keys and sizes, in which nothing is stored (a hole, where the disk knows holes)."""
    entries, end = {}, 0
    for key, shape in shapes.items():
        size = 1
        for length in shape:
            size *= length
        entries[key] = {"dtype": "U8", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    return path


def write_needed(needed: Needed, path: Path) -> Path:
    """A file that counts as what is needed."""
    return write_header(path, {f"some.{key}": needed.shape or (1,) for key in needed.keys})


def network(system: str, name: str) -> Needed:
    """Something that a system needs, by its name."""
    needs = next(one.needs for one in SYSTEMS if one.name == system)
    return next(needed for needed in needs if needed.name == name)
