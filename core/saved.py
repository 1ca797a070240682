"""Files of a job that are whole or not there: segments, and the tensors that a shot carries on."""

import errno
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from .durable import sha256_of, sync_file


@dataclass(frozen=True)
class Saved:
    """A file of the job, and how to know that it is whole."""

    name: str
    size: int
    sha256: str

    @staticmethod
    def of(path: Path) -> "Saved":
        """Describe a file that is complete."""
        return Saved(path.name, path.stat().st_size, sha256_of(path))

    def is_whole(self, folder: Path) -> bool:
        """Whether the file is there and unchanged."""
        path = folder / self.name
        return path.is_file() and path.stat().st_size == self.size and sha256_of(path) == self.sha256


def save_state(state: Mapping[str, Tensor], path: Path) -> Saved:
    """Save tensors with their memory format, on which the last bit of a convolution depends.

    Raises:
        OSError: the disk is full, or fails.
    """
    last = [key for key, value in state.items() if value.dim() == 4 and _is_channels_last(value)]
    plain = {key: value.cpu().contiguous() for key, value in state.items()}
    try:
        save_file(plain, path, {"channels_last": json.dumps(last)})
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error
    sync_file(path)
    return Saved.of(path)


def load_state(path: Path) -> dict[str, Tensor]:
    """Load what ``save_state`` saved, on the CPU, every bit and memory format as it was."""
    with safe_open(path, "pt") as file:
        last = set(json.loads(file.metadata()["channels_last"]))
    return {
        key: value.contiguous(memory_format=torch.channels_last) if key in last else value
        for key, value in load_file(path).items()
    }


def _is_channels_last(value: Tensor) -> bool:
    return value.is_contiguous(memory_format=torch.channels_last) and not value.is_contiguous()
