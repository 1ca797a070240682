"""Files that survive a crash: written, forced to the disk, and named only when whole."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DiskFullError

_BLOCK = 1 << 20


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


def partial_beside(output: Path) -> Path:
    """A hidden name beside ``output`` for a file that is not whole yet; no two runs share one."""
    return output.with_name(f".{output.stem}.{secrets.token_hex(4)}{output.suffix}")


@contextmanager
def disk_full_explained(path: Path) -> Iterator[None]:
    """Turn the system's word for a full disk into ours.

    Raises:
        DiskFullError: there is no room for ``path``.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise disk_full(path) from error


def disk_full(path: Path) -> DiskFullError:
    """The error of a full disk, met while writing ``path``."""
    return DiskFullError(
        f"Expected room for {path}, but its disk is full; free some space and run the same job again: it goes on "
        "where it stopped."
    )
