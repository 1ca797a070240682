"""What keeps a job's files on a machine; it imports nothing heavy."""

import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..durable import sha256_of

PREFIX = "textovsr-cluster-"
"""How the names of temporary folders begin."""

_SWEEP = """
import os, shutil, sys, time
sys.stdin.read()
for _ in range(120):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    time.sleep(1)
    if not os.path.lexists(sys.argv[1]):
        break
"""
"""Again and again: processes that end with ours, or soon after it, may write into the folder as it is deleted."""


@dataclass(frozen=True)
class FileId:
    """A file by its content.

    Attributes:
        path: where the one who wants it used has it.
        place: where to keep it if it must be sent: a folder's name and a file's.
        size: bytes.
        sha256: of its content.
    """

    path: Path
    place: str
    size: int
    sha256: str


def sweep_after_me(folder: Path) -> None:
    """Have a folder deleted as soon as this process ends, however it ends.

    A process of its own waits for that, a grandchild, since Ray ends the children of its workers with them.
    """
    starter = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-I', '-S', '-c', sys.argv[1], sys.argv[2]], "
        "start_new_session=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", starter, _SWEEP, str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    process.wait()
    _pipes.append(process)  # whose end of the pipe the system closes with this process


_pipes: "list[subprocess.Popen[bytes]]" = []


def swept_folder(prefix: str, base: Path | None = None) -> Path:
    """Make a temporary folder that is deleted as soon as this process ends, however it ends."""
    folder = Path(base or tempfile.gettempdir()) / f"{prefix}{secrets.token_urlsafe(6)}"
    sweep_after_me(folder)  # first: whatever ends this process in between leaves nothing behind
    folder.mkdir(mode=0o700)
    return folder


class Depot:
    """Keeps a job's files on one machine: those that are there already, and those that are sent.

    Its folder is deleted with its process, whatever ends that.
    """

    def __init__(self) -> None:
        self.folder = swept_folder(PREFIX)

    def find(self, wanted: FileId) -> Path | None:
        """Where this machine has a file of this content: under the same path, or sent before."""
        for path in (wanted.path, self.folder / wanted.place):
            if path.is_file() and path.stat().st_size == wanted.size and sha256_of(path) == wanted.sha256:
                return path
        return None

    def add(self, wanted: FileId, offset: int, chunk: bytes) -> None:
        """Take a part of a file that is sent; parts may come in any order."""
        path = self.folder / f"{wanted.place}.part"
        path.parent.mkdir(exist_ok=True)
        path.touch()  # "w" would throw away what another thread has written meanwhile
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(chunk)

    def finish(self, wanted: FileId) -> Path | None:
        """A file has been sent: where it is; None if it is not what was meant."""
        part = self.folder / f"{wanted.place}.part"
        if not wanted.size:
            part.parent.mkdir(exist_ok=True)
            part.touch()
        part.replace(self.folder / wanted.place)
        return self.find(wanted)

    def scratch(self) -> Path:
        """A new folder for a worker."""
        path = self.folder / f"worker-{secrets.token_hex(4)}"
        path.mkdir()
        return path

    def forget(self, folder: Path) -> None:
        """Delete the folder of a worker that has ended."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def file_id(path: Path, place: str) -> FileId:
    """Describe a file of this machine."""
    return FileId(path.absolute(), place, path.stat().st_size, sha256_of(path))
