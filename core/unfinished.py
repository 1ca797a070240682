"""Files that are not whole yet: out of sight, locked while their process lives, and swept when it was killed."""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from .durable import writing_explained
from .errors import JobRunningError, OutputError
from .job_lock import JobLock, delete, sweep

log = logging.getLogger(__name__)

FOLDER_SUFFIX = ".textovsr-part"
"""The folder of an unfinished file ends with this."""

_TRIES = 3


@contextmanager
def unfinished(output: Path, work: Path | None = None) -> Iterator[Path]:
    """A place for ``output`` while it is not whole; rename it when it is. What is there at the end is deleted.

    It is in a hidden folder beside ``output``, which this process holds locked. Folders like it that nobody holds,
    because their process was killed, are deleted first.

    Args:
        output: what it becomes, a file or a folder.
        work: a folder that the caller holds, and sweeps himself; taken instead if it is on the disk of ``output``,
            since a file is renamed only there.

    Yields:
        A path with the suffix of ``output``, at which there is nothing.

    Raises:
        OutputError: the folder of ``output`` is gone, or cannot be written.
    """
    here = output.absolute().parent
    with writing_explained(output):
        if work is not None and work.stat().st_dev != here.stat().st_dev:
            work = None
    with _own_folder(output, here) if work is None else nullcontext(work) as folder:
        partial = folder / f".{secrets.token_hex(4)}.part{output.suffix}"
        try:
            yield partial
        finally:
            delete(partial)


@contextmanager
def _own_folder(output: Path, here: Path) -> Iterator[Path]:
    sweep(here, FOLDER_SUFFIX)
    lock = _new_folder(output, here)
    try:
        yield lock.folder
    finally:
        try:
            lock.remove()
        except OSError as error:  # what ended the block matters more, and the next one here sweeps
            log.debug("%s: %s", lock.folder, error)


def _new_folder(output: Path, here: Path) -> JobLock:
    """Make a folder and hold it."""
    for _ in range(_TRIES):
        lock = JobLock(here / f".{secrets.token_hex(4)}{FOLDER_SUFFIX}")
        with writing_explained(output):
            lock.folder.mkdir()
        try:
            lock.acquire(str(output))
        except JobRunningError:  # whoever sweeps here was quicker, and deletes it
            continue
        except OutputError as error:  # a disk that knows no locks: nobody can sweep there either
            log.debug("%s: %s", lock.folder, error)
        break
    return lock
