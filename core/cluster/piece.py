"""What a worker does with a piece: read, restore, encode; segments are files in its folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from ..config import QUEUE
from ..durable import sha256_of
from ..job import Job, Source
from ..journal import Pause, Position
from ..restoration import Restoration, Result, after
from ..restorer import Restorer
from ..segments import SegmentEncoder
from ..stages import Consumer, working_ahead
from ..video.encoders import VideoSpec
from ..video.segments import segment_suffix
from ..windows import WindowPlan
from .layout import Piece
from .reading import read_marked
from .survey import Task


@dataclass(frozen=True)
class Made:
    """A segment that a worker has made: a file of its folder, how to know that it is whole, and what it holds."""

    name: str
    size: int
    sha256: str
    frames: int
    end: Position


@dataclass(frozen=True)
class Assignment:
    """What all pieces of a job have in common.

    Attributes:
        source: where this machine has it.
        job: texts, sizes, encoding.
        plan: windows and tiles.
        spec: the stream that segments hold.
    """

    source: Source
    job: Job
    plan: WindowPlan
    spec: VideoSpec


@dataclass
class Workbench:
    """What a worker has at hand.

    Attributes:
        restorer: the restoration system.
        folder: for segments.
        done: is told of every frame that is restored.
        notes: sentences for the user, which a piece adds to.
    """

    restorer: Restorer
    folder: Path
    done: Callable[[], None]
    notes: list[str] = field(default_factory=list)


class _Segments:
    """Stands in for the journal: names files, and notes what was made. The state stays with the worker."""

    def __init__(self, folder: Path, begin: int) -> None:
        self._folder, self._frame = folder, begin
        self.made: list[Made] = []

    def next_path(self, suffix: str) -> Path:
        return self._folder / f"{self._frame:08}{suffix}"

    def commit(self, frames: int, pause: Pause, suffix: str) -> None:
        path = self.next_path(suffix)
        self.made.append(Made(path.name, path.stat().st_size, sha256_of(path), frames, pause.position))
        self._frame += frames


def restore_piece(task: Task, assignment: Assignment, bench: Workbench) -> list[Made]:
    """Restore a piece into files of the bench's folder; peak memory as that of a job in one process.

    Raises:
        VideoError: the source cannot be read, or its frames are others than the survey saw.
        OutputError: the segments cannot be written.
        OutOfMemoryError: not even the smallest windows and tiles fit.
    """
    piece, lead, plan = task.piece, task.lead, assignment.plan
    ends = list(accumulate(segment.frames for segment in piece.segments))
    record = _Segments(bench.folder, piece.begin)
    restoration = Restoration(
        bench.restorer, plan, lambda: None, bench.notes.append, ends=[lead, *(lead + end for end in ends)]
    )
    begin = Pause(Position(piece.position.shots, piece.position.in_shot - lead))
    encoder = SegmentEncoder(
        record, assignment.spec, assignment.job, lambda frames, _: frames == piece.segments[len(record.made)].frames
    )
    marked = read_marked(assignment.source, assignment.job, task.marks)
    left = piece.frames
    with (
        working_ahead(marked, max(QUEUE, plan.length), "textovsr-decode") as frames,
        Consumer(encoder.run, QUEUE, "textovsr-encode") as encoding,
    ):
        for item in after(restoration.run(frames, begin), lead):
            encoding.put(item)
            left -= isinstance(item, Result)
            if isinstance(item, Result):
                bench.done()
            elif left == 0:
                break
    bench.notes += (note for note in encoder.notes if note not in bench.notes)
    return record.made


def remove_segments(folder: Path, piece: Piece, job: Job) -> None:
    """Delete what a piece may have left behind, whole or not; those of others may be on their way still."""
    for path in folder.glob(f"*{segment_suffix(job.encode.codec)}"):
        if piece.begin <= int(path.stem) < piece.end:
            path.unlink(missing_ok=True)
