"""Where the latents of a long video are kept: in memory up to a budget, beyond it in a file mapped into memory."""

import errno
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from .durable import disk_full_explained
from .errors import ShapeError
from .space import check_space

SOURCE = "textovsr_source"
"""Key of a LATENT: what it was made of; see ``core.codec.SourceSize``."""

WINDOW = "textovsr_window"
"""Key of a LATENT that is a part: ``start`` and ``total``, in latent frames of the whole."""


class LatentStore:
    """Takes latents chunk by chunk and gives them back as one tensor.

    Peak memory: the budget and one chunk. Beyond the budget all of them lie in a file without a name: the system
    deletes it when the last tensor that looks into it is gone, or the process, however it ends.

    Args:
        folder: where the file may be made.
        budget: bytes of memory.

    Attributes:
        expected: latent frames to come, if that is known, so that a lack of room is found before the work.
        length: latent frames that have come.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder, self._budget = folder, budget
        self.expected: int | None = None
        self._held: list[Tensor] = []
        self._file: IO[bytes] | None = None
        self._shape: tuple[int, ...] | None = None
        self._dtype = torch.float32
        self._bytes = 0
        self.length = 0

    @property
    def spilled(self) -> bool:
        """Whether the latents lie in a file."""
        return self._file is not None

    def append(self, latents: Tensor) -> None:
        """Add latent frames, (n,...), all of the shape and type of the first ones.

        Raises:
            ShapeError: they are not.
            DiskFullError: memory is not to be used, and the disk lacks room.
        """
        if self._shape is None:
            self._shape, self._dtype = tuple(latents.shape[1:]), latents.dtype
            self._check_room(latents)
        if tuple(latents.shape[1:]) != self._shape or latents.dtype != self._dtype:
            raise ShapeError(
                f"Expected latent frames of {self._shape} in {self._dtype}, got {tuple(latents.shape[1:])} in "
                f"{latents.dtype}; all of a video must be alike."
            )
        latents = latents.detach().cpu().contiguous()
        self.length += latents.shape[0]
        self._bytes += latents.nbytes
        if self._file is None and self._bytes > self._budget:
            self._spill()
        if self._file is None:
            self._held.append(latents.clone() if latents.untyped_storage().nbytes() > latents.nbytes else latents)
        else:
            self._write(latents)

    def finish(self) -> Tensor:
        """All latents, (N,...), on the CPU; the store is empty afterwards."""
        if self._shape is None:
            raise ShapeError("Expected latents, got none; add some before asking for all.")
        if self._file is not None:
            with disk_full_explained(self._folder):
                self._file.flush()
            result = map_file(self._file, (self.length, *self._shape), self._dtype)
        else:
            result = self._joined()
        self.close()
        return result

    def close(self) -> None:
        """Forget what was added; a tensor that was given out stays."""
        self._held.clear()
        if self._file is not None:
            with suppress(OSError):  # what is given up on a full disk is still in a buffer, which closing writes
                self._file.close()
        self._file = None

    def __enter__(self) -> "LatentStore":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check_room(self, first: Tensor) -> None:
        needed = (self.expected or 0) * first[0].nbytes
        if needed > self._budget:
            check_space(self._folder, needed)

    def _spill(self) -> None:
        with disk_full_explained(self._folder):
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix="latents-")  # noqa: SIM115
        while self._held:
            self._write(self._held.pop(0))

    def _write(self, latents: Tensor) -> None:
        assert self._file is not None
        with disk_full_explained(self._folder):
            self._file.write(latents.reshape(-1).view(torch.uint8).numpy().data)

    def _joined(self) -> Tensor:
        assert self._shape is not None
        result = torch.empty(self.length, *self._shape, dtype=self._dtype)
        start = 0
        for index, chunk in enumerate(self._held):
            result[start : start + chunk.shape[0]] = chunk
            start += chunk.shape[0]
            self._held[index] = chunk[:0]  # what it held is given back while the result is touched for the first time
        return result


def allocate_latents(shape: Sequence[int], dtype: torch.dtype, folder: Path, budget: int) -> Tensor:
    """Zeros to be filled in: in memory, or in a file like that of ``LatentStore`` if they are larger than the budget.

    Args:
        shape: of the tensor.
        dtype: of the tensor.
        folder: where the file may be made.
        budget: bytes of memory.

    Raises:
        DiskFullError: the disk lacks room; found now, not when the zeros are overwritten.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= budget:
        return torch.zeros(tuple(shape), dtype=dtype)
    check_space(folder, size)
    with disk_full_explained(folder), tempfile.TemporaryFile(dir=folder, prefix="latents-") as file:
        _reserve(file, size)
        return map_file(file, shape, dtype)


def map_file(file: IO[bytes], shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor over an open file, which may be closed afterwards; what is written to the one is in the other."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return torch.from_numpy(np.memmap(file, np.uint8, "r+", shape=(size,))).view(dtype).view(*shape)


def _reserve(file: IO[bytes], size: int) -> None:
    """Make a file of zeros whose room on the disk is its own: writing to a mapped hole on a full disk would kill us."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that does not know it
                raise
    block = bytes(1 << 20)
    for start in range(0, size, len(block)):
        file.write(block[: size - start])
    file.flush()
