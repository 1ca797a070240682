"""What a run of ``textovsr submit`` has done, beside its outputs, so that the same command goes on.

``OUTPUT/.textovsr-submit`` holds ``journal.jsonl``: a line whenever a task was queued, finished, failed or taken back;
the last line about a task is the truth. A line is forced to the disk before what it announces is done (queueing) and
after what it reports has happened (a result in its place). A line that a crash has torn is passed over.
"""

import json
import os
import re
import uuid
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..durable import disk_full_explained, sha256_of, sync_file, sync_folder
from ..errors import JobRunningError, OutputError, RefusedError
from .task import Task

FOLDER = ".textovsr-submit"
_JOURNAL = "journal.jsonl"
_LOCK = "lock"
_PART = "part-"
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,10})?")


class Ledger:
    """The record of an output folder; a context manager that keeps other runs out of it.

    Args:
        output: the folder of the results; made if need be.

    Raises:
        OutputError: it cannot be made.
        JobRunningError: another run is at work in it.
    """

    def __init__(self, output: Path) -> None:
        self.output, self.folder = output, output / FOLDER
        self.client_id = uuid.uuid4().hex
        self._lock = FileLock(self.folder / _LOCK, thread_local=False)
        self._known: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "Ledger":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Expected a folder for results, got {self.output}: {error.strerror}.") from error
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise JobRunningError(
                f"Expected to be alone, but another run puts its results into {self.output}; wait for it, stop it, or "
                "choose another --output."
            ) from error
        for part in self.folder.glob(f"{_PART}*"):
            part.unlink()
        self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _read(self) -> None:
        journal = self.folder / _JOURNAL
        if not journal.exists():
            self._append({"client_id": self.client_id})
            return
        text = journal.read_bytes()
        if not text.endswith(b"\n"):  # what comes next begins a line of its own
            self._write(b"\n")
        for raw in text.splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if "key" in line:
                self._known[line["key"]] = line
            else:
                self.client_id = line["client_id"]

    def take_up(self, task: Task) -> None:
        """Bring a new task to where an earlier run has left it; one that failed is tried again."""
        line = self._known.get(task.key, {})
        state = line.get("state", "")
        if state not in ("queued", "done"):
            return
        whole = state == "done" and all((self.output / name).is_file() for name in line["files"])
        task.state = "done" if whole else "queued"
        task.server, task.prompt_id = line["server"], line["prompt_id"]
        task.files = line["files"] if whole else []

    def note(self, task: Task) -> None:
        """Write down how a task stands.

        Raises:
            DiskFullError: there is no room for the line.
        """
        names = ("key", "state", "server", "prompt_id", "files", "error")
        self._append({"input": task.source.name, **{name: getattr(task, name) for name in names}})

    def _append(self, line: dict[str, Any]) -> None:
        self._write(json.dumps(line).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        path = self.folder / _JOURNAL
        with disk_full_explained(path), path.open("ab") as journal:
            journal.write(data)
            journal.flush()
            os.fsync(journal.fileno())

    def part(self) -> Path:
        """A fresh name for a result that is not whole yet."""
        return self.folder / f"{_PART}{uuid.uuid4().hex}"

    def place(self, part: Path, source: Path, suffix: str) -> str:
        """Give a whole result the name of its input, or the next free one; nothing is ever replaced.

        Returns:
            Its name in the output folder.

        Raises:
            RefusedError: the suffix, which a server chose, is none.
        """
        if not _SUFFIX.fullmatch(suffix):
            raise RefusedError(f"Expected a result with a plain ending such as .mp4, got {suffix!r} from the server.")
        sync_file(part)
        number = 1
        while True:
            target = self.output / f"{source.stem}{'' if number == 1 else f'-{number}'}{suffix}"
            if _same(part, target):  # a run that died between placing a result and noting it
                part.unlink()
                return target.name
            if _rename_to_free(part, target):
                sync_folder(self.output)
                return target.name
            number += 1


def _same(part: Path, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == part.stat().st_size and sha256_of(target) == sha256_of(part)


def _rename_to_free(part: Path, target: Path) -> bool:
    """Rename, unless the new name is taken."""
    try:
        os.link(part, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if target.exists():
            return False
        part.replace(target)
        return True
    part.unlink()
    return True
