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

from torch import Tensor

from .durable import sync_file, sync_folder, writing_explained
from .errors import JobRunningError
from .job_lock import HOLDER, JOURNAL, LOCK, REMOVAL, JobLock, delete, holder, sweep
from .saved import Saved, load_state, save_state
from .unchanged import Unchanged

log = logging.getLogger(__name__)

FOLDER_SUFFIX = ".textovsr-job"
"""Every job's folder ends with this."""

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
            ``source``, if given, is a file that has to stay as it is, ``input`` the SHA-256 of its content, and
            ``output`` what becomes of it.

    Raises:
        JobRunningError: another run holds the lock.
        OutputError: the folder cannot be written.
    """

    _kept = frozenset({LOCK, HOLDER, JOURNAL})
    """What is not deleted of the folder, beside the segments."""

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        self.folder = folder
        self.header = dict(header)
        self.segments: list[Segment] = []
        self._lock = JobLock(folder)
        self._source: Unchanged | None = None

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
        if "source" in self.header:
            self._source = Unchanged(Path(self.header["source"]), self.header.get("input", ""))
        self._lock.acquire(str(self.header.get("output", "")))
        try:
            with writing_explained(self.folder):
                self._take_up()
            sweep(self.folder.parent, FOLDER_SUFFIX)
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
            self.segments = _usable(segments_in(lines[1:]), self.folder)
        elif lines:
            log.warning("%s: input or settings have changed; the job starts afresh.", self.folder)
        # The old journal stays until the new one replaces it: a kill in between must lose nothing.
        kept = self._kept.union(*map(_names, self.segments))
        for path in self.folder.iterdir():
            if path.name not in kept:
                delete(path)
        self._write([self.header, *map(asdict, self.segments)])

    def _write(self, lines: list[dict[str, Any]]) -> None:
        """Replace the whole journal."""
        fresh = self.folder / f"{JOURNAL}.new"
        fresh.write_bytes(b"".join(map(_line, lines)))
        sync_file(fresh)
        fresh.replace(self.folder / JOURNAL)
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
            OutputError: the folder cannot be written any more.
            VideoError: the source is gone or another one now. The segment is not recorded: it may hold frames of both.
        """
        self.check_source()
        written, index = self.next_path(suffix), len(self.segments)
        picture = self.folder / f"segment-{index:05}{suffix}"
        with writing_explained(picture):
            sync_file(written)
            written.replace(picture)
            state = save_state(pause.state, self.folder / f"state-{index:05}.safetensors") if pause.state else None
            sync_folder(self.folder)
            segment = Segment(Saved.of(picture), frames, pause.position, state)
            with (self.folder / JOURNAL).open("ab") as journal:
                journal.write(_line(asdict(segment)))
                journal.flush()
                os.fsync(journal.fileno())
        self.segments.append(segment)
        for old in self.segments[:-_STATES_KEPT][-1:]:
            if old.state is not None:
                (self.folder / old.state.name).unlink(missing_ok=True)

    def check_source(self) -> None:
        """Insist that the source is what it was when the journal was opened.

        Raises:
            VideoError: it is not.
        """
        if self._source is not None:
            self._source.check()

    def pause(self) -> Pause:
        """Where the next segment begins."""
        if not self.segments:
            return Pause()
        last = self.segments[-1]
        return Pause(last.position, {} if last.state is None else load_state(self.folder / last.state.name))

    def remove(self) -> None:
        """Delete the job's folder: it is done, or there is nothing worth keeping. What cannot be deleted is logged."""
        self.segments = []
        if not self._lock.held:
            return
        try:
            self._lock.remove()
        except FileNotFoundError:  # somebody else has
            log.debug("%s was gone already.", self.folder)
        except OSError as error:
            log.warning("%s could not be deleted (%s); it is of no more use, delete it by hand.", self.folder, error)


def remove_job(folder: Path) -> None:
    """Delete a job's folder.

    Raises:
        JobRunningError: a run is at work in it.
        OutputError: it may not be deleted.
    """
    lock = JobLock(folder)
    try:
        lock.acquire(REMOVAL)
    except JobRunningError as error:
        raise JobRunningError(
            f"Expected {folder} to be left over, but {holder(folder)} is at work in it; stop it first."
        ) from error
    with writing_explained(folder):
        lock.remove()


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a job's journal up to the first one that is damaged; none if there is no journal."""
    try:
        content = (folder / JOURNAL).read_bytes()
    except FileNotFoundError:
        return []
    lines: list[dict[str, Any]] = []
    for raw in content.split(b"\n")[:-1]:
        text, _, crc = raw.rpartition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            break
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
    return lines


def _line(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


def segments_in(lines: list[dict[str, Any]]) -> list[Segment]:
    """What the lines name, up to the first that no run of ours can have written."""
    found: list[Segment] = []
    for line in lines:
        try:
            segment = _segment(line)
        except (LookupError, TypeError):
            break
        numbers = (segment.frames, segment.position.shots, segment.position.in_shot)
        plain = all(isinstance(name, str) and Path(name).name == name and "\0" not in name for name in _names(segment))
        if not plain or not all(isinstance(number, int) and number >= 0 for number in numbers):
            break
        found.append(segment)
    return found


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
