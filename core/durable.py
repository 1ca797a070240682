"""Files that survive a crash: written, forced to the disk, and named only when whole."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DiskFullError, OutputError

_BLOCK = 1 << 20

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


def sync_file(path: Path) -> None:
    """Force what was written to a file onto the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force the names in a folder onto the disk, where the platform knows how."""
    with suppress(OSError):  # Windows cannot open a folder, some network disks cannot sync one
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def disk_full_explained(path: Path) -> Iterator[None]:
    """Turn the system's word for a full disk into ours.

    Raises:
        DiskFullError: there is no room for ``path``.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise disk_full(path) from error


@contextmanager
def writing_explained(path: Path) -> Iterator[None]:
    """Turn what the system says when ``path`` cannot be written into our words; nothing else may fail in the block.

    Raises:
        DiskFullError: there is no room.
        OutputError: it is not allowed, its folder is gone, or the disk fails.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the system's own
            raise
        raise write_failure(path, error) from error


def write_failure(path: Path, error: OSError) -> OutputError:
    """The error of a file that could not be written, by what the system says."""
    if error.errno in _NO_ROOM:
        return disk_full(path)
    if error.errno in _NOT_ALLOWED:
        return OutputError(
            f"Expected to be allowed to write {path}, got: {error.strerror}; choose an output in another folder, or "
            "change the rights of this one."
        )
    if error.errno in _GONE:
        return OutputError(
            f"Expected the folder of {path} to stay while it is written to, but it or something in it is gone; put it "
            "back, or choose another output, and run the job again."
        )
    return OutputError(
        f"Expected to write {path}, got: {error.strerror or error}; check its disk, then run it again; a job goes on "
        "where it stopped."
    )


def disk_full(path: Path) -> DiskFullError:
    """The error of a full disk, met while writing ``path``."""
    return DiskFullError(
        f"Expected room for {path}, but its disk is full; free some space and run it again; a job goes on where it "
        "stopped."
    )
