"""The lock of a job's folder: one run at a time, and the others can say which one it is."""

import json
import logging
import os
import shutil
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .durable import writing_explained
from .errors import JobRunningError, OutputError

log = logging.getLogger(__name__)

LOCK = "lock"
"""The name of the file in a job's folder that a run holds locked; the system lets go of it when the run dies."""

JOURNAL = "journal.jsonl"
"""The name of the file without which a folder is no job."""

HOLDER = "holder.json"
"""The name of the file that says who that is. It may outlive its run: only the lock tells whether one is at work."""

REMOVAL = "nothing: it is being removed"
"""What is being made in a folder that is held in order to delete it."""

_TRIES, _MOST_TRIES, _PAUSE = 10, 200, 0.05
"""A run that is ending holds a lock for a moment; who looks or deletes, and is no run at work, for as long as the
machine is busy. Tries are counted, since clocks jump."""


class JobLock:
    """Holds a job's folder against other processes.

    Args:
        folder: the job's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / LOCK)

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._lock.is_locked

    def acquire(self, output: str, patient: bool = True) -> None:
        """Take the folder, making it if need be.

        Args:
            output: what is being made, for others to read.
            patient: wait for who may be about to let go of it.

        Raises:
            JobRunningError: another run holds it.
            OutputError: the folder cannot be written.
        """
        with writing_explained(self.folder):
            tries = 1
            while not self._try():
                if not patient or tries >= (_TRIES if _is_run(self.folder) else _MOST_TRIES):
                    raise JobRunningError(
                        f"Expected to be alone, but {holder(self.folder)} is at work in {self.folder}; wait for it, "
                        "stop it, or choose another output."
                    )
                time.sleep(_PAUSE)
                tries += 1
        me = {"process": os.getpid(), "host": socket.gethostname(), "output": output}
        with suppress(OSError):  # a full disk is met, and explained, where it matters
            (self.folder / HOLDER).write_text(json.dumps(me), "utf-8")

    def _try(self) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout, FileNotFoundError):  # the latter: whoever sweeps has just deleted the folder
            self._lock.acquire(timeout=0)
            return True
        return False

    def release(self) -> None:
        """Let others have the folder."""
        if self.held:
            with suppress(OSError):
                (self.folder / HOLDER).unlink(missing_ok=True)
            self._lock.release(force=True)

    def remove(self) -> None:
        """Delete the folder, which this object holds, and let go of it.

        Raises:
            OSError: something in it cannot be deleted.
        """
        lock = self.folder / LOCK
        try:
            (self.folder / JOURNAL).unlink(missing_ok=True)  # first: what a kill leaves is then no job any more
            for path in self.folder.iterdir():
                if path != lock:
                    delete(path)
            if sys.platform != "win32":  # while it is held: whoever waits for it sees that it guards nothing any more
                lock.unlink(missing_ok=True)
        finally:
            self._lock.release(force=True)
        if sys.platform == "win32":
            with suppress(OSError):
                lock.unlink()
        with suppress(OSError):  # another run has moved in already
            self.folder.rmdir()


def sweep(folder: Path, suffix: str) -> None:
    """Delete what runs that were killed while they cleaned up have left in ``folder``: folders of no job."""
    for left in folder.glob(f"*{suffix}"):
        with suppress(OSError, OutputError):  # it is somebody else's, or at work after all
            if not (left.is_symlink() or (left / JOURNAL).exists() or is_held(left)):
                lock = JobLock(left)
                lock.acquire(REMOVAL, patient=False)
                if (left / JOURNAL).exists():  # a run was quicker
                    lock.release()
                else:
                    lock.remove()
                    log.info("%s was left over; it is deleted.", left)


def holder(folder: Path) -> str:
    """Who holds a job's folder, in words."""
    found = _read_holder(folder)
    return "another run" if found is None else "process {} on {}, which writes {},".format(*found)


def _is_run(folder: Path) -> bool:
    """Whether who holds a folder says that it works there; who only looks says nothing."""
    found = _read_holder(folder)
    return found is not None and found[2] != REMOVAL


def _read_holder(folder: Path) -> tuple[object, object, object] | None:
    """The process that holds a folder, its host, and what it writes."""
    try:
        found = json.loads((folder / HOLDER).read_text("utf-8"))
        return found["process"], found["host"], found["output"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_held(folder: Path) -> bool:
    """Whether a run is at work in a job's folder now."""
    if not (folder / LOCK).exists():  # or else looking would make one
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError as error:  # a folder that may not be written to is not worked in, as far as can be known
        log.debug("%s: %s", folder, error)
        return False


def delete(path: Path) -> None:
    """Delete a file, or a folder with everything in it; a link is not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
