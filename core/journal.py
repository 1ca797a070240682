"""The journal of a job: which segments are finished, so that a run that was killed goes on where it stopped.

A job's folder holds the finished segments, the state that the newest ones end with, and ``journal.jsonl``: a header
and a line for every finished segment. A file is forced to the disk and renamed before the line that names it is
appended, and the line is forced to the disk too. So whatever moment a run dies at, the lines that can be read are true.
Every line ends with its CRC; files are checked by size and SHA-256.
"""

import json
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from .durable import disk_full_explained, sync_file, sync_folder
from .errors import JobRunningError
from .saved import Saved, load_state, save_state

log = logging.getLogger(__name__)

FOLDER_SUFFIX = ".textovsr-job"
"""Every job's folder ends with this."""

_JOURNAL = "journal.jsonl"
LOCK = "lock"
"""The name of the file in a job's folder that a run holds locked."""

_STATES_KEPT = 2
"""If the newest segment proves damaged, the job goes on from the one before."""


@dataclass(frozen=True)
class Position:
    """Where a window ended.

    Attributes:
        shots: shots that have begun.
        in_shot: frames of the latest shot that are finished; 0 if the next frame begins a shot.
    """

    shots: int = 0
    in_shot: int = 0


@dataclass(frozen=True)
class Pause:
    """The end of a window: a place from where a job can go on.

    Attributes:
        position: where it is.
        state: what the shot carries on (see ``Shot.state``); empty at its end.
    """

    position: Position = field(default_factory=Position)
    state: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Segment:
    """A finished segment: its picture, its frames, where it ended, and the state carried on from there."""

    picture: Saved
    frames: int
    position: Position
    state: Saved | None = None


class Journal:
    """The record of one job; a context manager that holds the job's lock.

    Args:
        folder: the job's own; made if need be.
        header: what the job is; ``key`` tells it from others. If the folder holds another job, that is thrown away.

    Raises:
        JobRunningError: another run holds the lock.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        self.folder = folder
        self.header = dict(header)
        self.segments: list[Segment] = []
        self._lock = FileLock(folder / LOCK)

    @property
    def frames(self) -> int:
        """Finished frames."""
        return sum(segment.frames for segment in self.segments)

    @property
    def shots(self) -> int:
        """Shots that have begun in the finished segments."""
        return self.segments[-1].position.shots if self.segments else 0

    @property
    def pictures(self) -> list[Path]:
        """The finished segments' files."""
        return [self.folder / segment.picture.name for segment in self.segments]

    def __enter__(self) -> "Journal":
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise JobRunningError(
                f"Expected to be alone, but another run is at work in {self.folder}; wait for it, stop it, or choose "
                "another output."
            ) from error
        try:
            self._take_up()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self.segments:
            self.remove()
        self._lock.release()

    def _take_up(self) -> None:
        lines = read_lines(self.folder)
        if lines and lines[0].get("key") == self.header["key"]:
            self.header = lines[0]
            self.segments = _usable([_segment(line) for line in lines[1:]], self.folder)
        elif lines:
            log.warning("%s: input or settings have changed; the job starts afresh.", self.folder)
        # The old journal stays until the new one replaces it: a kill in between must lose nothing.
        kept = {LOCK, _JOURNAL, *(name for s in self.segments for name in _names(s))}
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink()
        self._write([self.header, *map(asdict, self.segments)])

    def _write(self, lines: list[dict[str, Any]]) -> None:
        """Replace the whole journal."""
        fresh = self.folder / f"{_JOURNAL}.new"
        with disk_full_explained(fresh):
            fresh.write_bytes(b"".join(map(_line, lines)))
            sync_file(fresh)
            fresh.replace(self.folder / _JOURNAL)
        sync_folder(self.folder)

    def next_path(self, suffix: str) -> Path:
        """Where the next segment is to be written; ``commit`` gives it its name."""
        return self.folder / f"part-{len(self.segments):05}{suffix}"

    def commit(self, frames: int, pause: Pause, suffix: str) -> None:
        """Record the segment that was written to ``next_path(suffix)``.

        Args:
            frames: of the segment.
            pause: where it ended.
            suffix: as given to ``next_path``.

        Raises:
            DiskFullError: the state or the line found no room; the segments before stay as they are.
        """
        written, index = self.next_path(suffix), len(self.segments)
        picture = self.folder / f"segment-{index:05}{suffix}"
        with disk_full_explained(picture):
            sync_file(written)
            written.replace(picture)
            state = save_state(pause.state, self.folder / f"state-{index:05}.safetensors") if pause.state else None
            sync_folder(self.folder)
            segment = Segment(Saved.of(picture), frames, pause.position, state)
            with (self.folder / _JOURNAL).open("ab") as journal:
                journal.write(_line(asdict(segment)))
                journal.flush()
                os.fsync(journal.fileno())
        self.segments.append(segment)
        for old in self.segments[:-_STATES_KEPT]:
            if old.state is not None:
                (self.folder / old.state.name).unlink(missing_ok=True)

    def pause(self) -> Pause:
        """Where the next segment begins."""
        if not self.segments:
            return Pause()
        last = self.segments[-1]
        return Pause(last.position, {} if last.state is None else load_state(self.folder / last.state.name))

    def remove(self) -> None:
        """Delete the job's folder: it is done, or there is nothing worth keeping."""
        self.segments = []
        remove_job(self.folder, self._lock)


def remove_job(folder: Path, lock: FileLock | None = None) -> None:
    """Delete a job's folder.

    Raises:
        JobRunningError: a run is at work in it.
    """
    lock = lock or FileLock(folder / LOCK)
    try:
        with lock.acquire(timeout=0):
            for path in folder.iterdir():
                if path.name != LOCK:
                    path.unlink()
    except Timeout as error:
        raise JobRunningError(
            f"Expected {folder} to be left over, but a run is at work in it; stop it first."
        ) from error
    lock.release(force=True)
    (folder / LOCK).unlink(missing_ok=True)
    folder.rmdir()


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a job's journal up to the first one that is damaged; none if there is no journal."""
    try:
        content = (folder / _JOURNAL).read_bytes()
    except FileNotFoundError:
        return []
    lines: list[dict[str, Any]] = []
    for raw in content.split(b"\n")[:-1]:
        text, _, crc = raw.rpartition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            break
        lines.append(json.loads(text))
    return lines


def _line(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


def _segment(line: dict[str, Any]) -> Segment:
    state = line["state"]
    return Segment(
        Saved(**line["picture"]),
        line["frames"],
        Position(**line["position"]),
        None if state is None else Saved(**state),
    )


def _names(segment: Segment) -> list[str]:
    return [saved.name for saved in (segment.picture, segment.state) if saved is not None]


def _usable(segments: list[Segment], folder: Path) -> list[Segment]:
    """The segments up to the last from which the job can go on: all whole, and its state at hand."""
    whole = next((i for i, s in enumerate(segments) if not s.picture.is_whole(folder)), len(segments))
    if whole < len(segments):
        log.warning("%s is damaged; the job goes on before it.", folder / segments[whole].picture.name)
    while whole:
        state = segments[whole - 1].state
        if state is None or state.is_whole(folder):
            break
        whole -= 1
    return segments[:whole]
