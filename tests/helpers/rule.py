"""Weights made from their keys, as the header of the golden file says (tests/golden/README.md)."""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@dataclass(frozen=True)
class Rule:
    """The header: ``keys`` with their shapes, the ``gains``, the size of the text encoder."""

    keys: dict[str, list[int]]
    gains: list[dict[str, Any]]
    text_encoder: dict[str, Any]

    def weight(self, key: str) -> Tensor:
        """The weight of a key."""
        shape = self.keys[key]
        x = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape).astype(np.float32)
        if key.endswith(".bias"):
            x = 0.02 * x
        elif len(shape) == 1:
            x = 1 + 0.1 * x
        elif "embedding" in key:
            x = 0.5 * x
        else:
            gain = next(gain["gain"] for gain in self.gains if all(word in key for word in gain["contains"]))
            x = gain / np.sqrt(np.prod(shape[1:])) * x
        return torch.from_numpy(np.asarray(x, np.float32))


def read_rule() -> Rule:
    """Read the rule from the header."""
    with _open() as file:
        header = file.metadata()
    rule = json.loads(header["rule"])
    return Rule(json.loads(header["keys"]), rule["gains"], rule["text_encoder"])


def read_case(name: str) -> dict[str, Tensor]:
    """The tensors of a case, without the case's name in front."""
    with _open() as file:
        keys = [key for key in file.keys() if key.startswith(f"{name}.")]  # noqa: SIM118 - not a mapping
        return {key.removeprefix(f"{name}."): file.get_tensor(key) for key in keys}


@contextmanager
def _open() -> Iterator[Any]:
    with safe_open(GOLDEN / "textovsr.safetensors", framework="pt") as file:
        yield file
