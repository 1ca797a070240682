"""Pieces that are finished before those in front of them: kept in the job's folder, recorded when it is their turn."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..durable import sync_file, sync_folder, writing_explained
from ..errors import CancelledError, ClusterError
from ..job_lock import delete
from ..journal import Journal, Pause, Position
from ..saved import Saved
from .layout import Piece
from .piece import Made

SHELF = "ahead"
"""The folder in a job's folder that holds what is finished ahead of its turn."""


class ShelvedJournal(Journal):
    """A journal whose folder holds a shelf, which outlives a run as the segments do.

    A journal without one deletes it, as all that it does not know, when it goes on alone.
    """

    _kept = Journal._kept | {SHELF}

    @property
    def shelf(self) -> Path:
        """The folder for what is finished ahead of its turn."""
        return self.folder / SHELF

    def __exit__(self, *details: object) -> None:
        if self.segments or not any(self.shelf.glob("*.json")):
            super().__exit__(*details)
        else:
            self._lock.release()


class Shelf:
    """Takes the segments of pieces in any order, and gives them to the journal in theirs.

    A piece is on the shelf once the line that names its segments is on the disk; all of it is, or nothing. Several
    threads may put pieces there, while another one gives them to the journal.

    Args:
        journal: of the job, open.
    """

    def __init__(self, journal: ShelvedJournal) -> None:
        self._journal, self._folder = journal, journal.shelf
        self._lock = threading.Lock()
        self._closed = False
        self._waiting: dict[int, Made] = {}
        self._records: dict[int, Path] = {}  # by the first frame of the last segment that each names
        with writing_explained(self._folder):
            if self._folder.is_symlink():  # to files that are not ours to delete
                self._folder.unlink()
            self._folder.mkdir(exist_ok=True)
            self._load()

    @property
    def frames(self) -> int:
        """Frames that wait for their turn."""
        with self._lock:
            return sum(made.frames for made in self._waiting.values())

    def holds(self, piece: Piece) -> bool:
        """Whether an earlier run has finished exactly this piece."""
        begin = piece.begin
        for segment in piece.segments:
            made = self._waiting.get(begin)
            if made is None or (made.frames, made.end) != (segment.frames, segment.end):
                return False
            begin += segment.frames
        return True

    def receive(self, made: Made, chunks: Iterator[bytes]) -> None:
        """Write a segment that arrives in chunks.

        Raises:
            CancelledError: the shelf is closed.
            ClusterError: it did not arrive as it was made.
            OutputError: it cannot be written.
        """
        path, digest = self._folder / made.name, hashlib.sha256()
        with writing_explained(path):
            with self._open():
                file = path.open("wb")
            with file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
        if digest.hexdigest() != made.sha256:
            raise ClusterError(
                f"Expected {made.name} as its worker made it, got other bytes; the network damages files."
            )
        with writing_explained(path):
            sync_file(path)

    def put(self, begin: int, segments: Sequence[Made]) -> None:
        """All segments of a piece, which begins at frame ``begin``, have been received; raises as ``receive``."""
        record = self._folder / f"{begin:08}.json"
        values = {"key": self._journal.header["key"], "begin": begin, "segments": [asdict(made) for made in segments]}
        with self._open(), writing_explained(record):
            fresh = record.with_suffix(".new")
            fresh.write_text(json.dumps(values), "utf-8")
            sync_file(fresh)
            fresh.replace(record)
            sync_folder(self._folder)
            self._take(record, begin, segments)

    def close(self) -> None:
        """Take nothing more: what is still on its way meets a ``CancelledError``."""
        with self._lock:
            self._closed = True

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise CancelledError("The job is over.")
            yield

    def commit(self) -> None:
        """Record in the journal what has its turn.

        The state that is carried across a border is made again where it is needed (``leads``): it has the size of
        many frames, and would have to be sent for every segment.
        """
        with self._lock:
            self._commit(self._journal)

    def _commit(self, journal: Journal) -> None:
        while (made := self._waiting.get(begin := journal.frames)) is not None:
            path = self._folder / made.name
            with writing_explained(path):
                _double(path, journal.next_path(path.suffix))
            journal.commit(made.frames, Pause(made.end), path.suffix)
            del self._waiting[begin]
            path.unlink()
            if begin in self._records:
                self._records.pop(begin).unlink()

    def remove(self) -> None:
        """Delete the shelf: everything had its turn."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _load(self) -> None:
        """Take over what an earlier run of this job left; delete the rest."""
        kept = {path for record in sorted(self._folder.glob("*.json")) for path in self._read(record)}
        for path in self._folder.iterdir():
            if path not in kept:
                delete(path)

    def _read(self, record: Path) -> list[Path]:
        try:
            values: Mapping[str, Any] = json.loads(record.read_text("utf-8"))
            made = [Made(**{**line, "end": Position(**line["end"])}) for line in values["segments"]]
            key, first = values["key"], int(values["begin"])
            end = first + sum(segment.frames for segment in made)
        except (ValueError, KeyError, TypeError):
            return []
        if key != self._journal.header["key"] or end <= self._journal.frames:
            return []
        begin = first
        for segment in made:
            if begin >= self._journal.frames and not self._is_whole(segment):
                return []
            begin += segment.frames
        return [record, *self._take(record, first, made)]

    def _is_whole(self, made: Made) -> bool:
        """Whether a segment lies on the shelf as it was made; a record may be anybody's and name any file."""
        named = isinstance(made.name, str) and Path(made.name).name == made.name
        return named and Saved(made.name, made.size, made.sha256).is_whole(self._folder)

    def _take(self, record: Path, begin: int, segments: Sequence[Made]) -> list[Path]:
        """Note the segments from the journal's end on; those before it are in the journal."""
        taken, last = [], begin
        for made in segments:
            if begin >= self._journal.frames:
                self._waiting[begin] = made
                taken.append(self._folder / made.name)
            last, begin = begin, begin + made.frames
        self._records[last] = record
        return taken


def _double(path: Path, other: Path) -> None:
    """Give a file a second name: it is on the shelf until the journal has it, whatever happens in between."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:  # the disk has no links
        shutil.copyfile(path, other)
