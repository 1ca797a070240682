"""The last stage: restored frames become segments, each a file that can be watched, recorded when it is whole."""

import logging
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Protocol

import torch

from .config import SEGMENT_FRAMES, SEGMENT_PIXELS
from .finish import finish_frame
from .job import Job
from .journal import Pause, Position
from .restoration import Result
from .video.encoders import VideoSpec
from .video.segments import segment_suffix
from .video.writer import VideoWriter

log = logging.getLogger(__name__)


class Record(Protocol):
    """Where finished segments go, such as a ``Journal``."""

    def next_path(self, suffix: str) -> Path:
        """Where the next segment is to be written."""

    def commit(self, frames: int, pause: Pause, suffix: str) -> None:
        """Record the segment that was written there: its frames, and where it ended."""


class SegmentEncoder:
    """Encodes results into the segments of a job.

    Where a segment ends follows from the windows alone (``ends_segment``), so that a job that is taken up again ends
    them at the same frames.

    Args:
        journal: where finished segments are recorded.
        spec: the stream.
        job: size, colours and encoding.
        ends: says of so many frames and the pause after them whether they are a segment; None is ``ends_segment``.
    """

    def __init__(
        self, journal: Record, spec: VideoSpec, job: Job, ends: Callable[[int, Pause], bool] | None = None
    ) -> None:
        self._journal, self._spec, self._job = journal, spec, job
        length = job.segment or segment_length(spec.width, spec.height)
        self._ends = ends or (lambda frames, pause: ends_segment(frames, pause.position, length))
        self._suffix = segment_suffix(job.encode.codec)
        self.notes: list[str] = []

    @torch.inference_mode()
    def run(self, items: Iterator[Result | Pause]) -> None:
        """Encode all ``items``; the last one is a pause. Peak memory: one frame and the encoder's look-ahead.

        Raises:
            EncoderError: the encoder fails.
            DiskFullError: there is no room; the segments before stay.
        """
        while (first := next(items, None)) is not None:
            self._encode_segment(chain([first], items))

    def _encode_segment(self, items: Iterator[Result | Pause]) -> None:
        size = (self._spec.width, self._spec.height)
        frames, pause = 0, Pause()
        with VideoWriter(self._journal.next_path(self._suffix), self._spec, self._job.encode) as writer:
            for item in items:
                if isinstance(item, Result):
                    image = finish_frame(item, self._job.result, size)
                    writer.write(image, item.frame.pts, item.frame.duration)
                    frames += 1
                    continue
                pause = item
                if self._ends(frames, pause):
                    break
        for note in writer.notes:
            if note not in self.notes:
                log.warning("%s", note)
                self.notes.append(note)
        self._journal.commit(frames, pause, self._suffix)


def segment_length(width: int, height: int) -> int:
    """Frames of a segment, for results of this size: fewer of larger ones, so that a crash costs about the same."""
    least, most = SEGMENT_FRAMES
    return min(max(SEGMENT_PIXELS // (width * height), least), most)


def ends_segment(frames: int, position: Position, length: int) -> bool:
    """Whether a segment ends with the window that ends here: at its length, or with a shot from half its length on.

    So most shots begin with a segment, where nothing is carried on: the work can be shared out there.

    Args:
        frames: of the segment so far.
        position: where the window ended.
        length: of a segment, in frames.
    """
    return frames >= length or (not position.in_shot and 2 * frames >= length)
