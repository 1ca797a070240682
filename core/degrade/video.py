"""Degrading a video file of any length: decoded, degraded and encoded frame by frame, with all its other streams."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..config import QUEUE, EncodeConfig
from ..errors import OutputError
from ..job import Progress, Report, Source
from ..stages import working_ahead
from ..unfinished import unfinished
from ..video.encoders import check_output, check_stream, spec_like
from ..video.mux import MuxReport, mux
from ..video.reader import Frame, VideoReader
from ..video.writer import VideoWriter
from .config import DegradeConfig
from .parameters import Degradation

FINE = EncodeConfig(codec="h264", crf=10, preset="fast")
"""How the result is stored unless asked otherwise: hardly anything is added to what was done to it."""

PARAMETERS_TAG = "degradation"
"""The tag of the result that holds the exact parameters."""


@dataclass(frozen=True)
class DegradeJob:
    """What to do with a video.

    Attributes:
        config: the degradation that is asked for.
        encode: codec and quality of the result.
        device: where to compute; the noise does not depend on it.
    """

    config: DegradeConfig = field(default_factory=DegradeConfig)
    encode: EncodeConfig = FINE
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Degraded:
    """The outcome.

    Attributes:
        path: the file.
        degradation: what was done.
        frames: how many it has.
        seconds: it took.
        streams: what became of sound, subtitles and the rest.
        lost: sentences on what was damaged or missing in the source.
        notes: sentences on what else the user should know.
    """

    path: Path
    degradation: Degradation
    frames: int
    seconds: float
    streams: MuxReport
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def degrade_video(
    source: Source, output: Path, job: DegradeJob, report: Report, check: Callable[[], None] = lambda: None
) -> Degraded:
    """Degrade a video into ``output``: every frame at its exact time, and all other streams of the source.

    The file appears only when it is whole. Peak memory: some frames and what encoders hold back, whatever the length.

    Args:
        source: what to read.
        output: the file to write; its suffix is the container.
        job: what to do.
        report: called after every frame.
        check: called before every frame; raises to cancel.

    Raises:
        VideoError: the source cannot be read.
        OutputError: the result cannot be written as asked.
        SettingError: the result would be too small.
    """
    if job.encode.codec == "png":
        raise OutputError("Expected a codec for a video file, got png; choose h264, hevc, av1, prores or ffv1.")
    check_output(output, job.encode)
    if not output.parent.is_dir():
        raise OutputError(f"Expected a folder {output.parent} to write to, found none; make it, or correct the path.")
    began = time.monotonic()
    with (
        unfinished(output) as picture,
        VideoReader(
            source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
        ) as reader,
    ):
        degradation = Degradation.sample(job.config, (reader.info.height, reader.info.width))
        run = _Run(reader, degradation, job, report, check)
        frames, notes = run.write(picture, began, reader.info.frames_in(source.start, source.duration))
        tags = {PARAMETERS_TAG: degradation.to_json(indent=None)}
        streams = mux(
            [picture],
            source.path,
            output,
            start=source.start,
            duration=source.duration,
            metadata=tags,
            work=picture.parent,
        )
        seconds = time.monotonic() - began
        lost = (*reader.report.lost, *streams.damaged)
        notes = (*reader.report.notes, *notes)
    return Degraded(output, degradation, frames, seconds, streams, lost, notes)


@dataclass
class _Run:
    """One pass from a reader through a degradation into a file."""

    reader: VideoReader
    degradation: Degradation
    job: DegradeJob
    report: Report
    check: Callable[[], None]
    times: deque[tuple[int, int]] = field(default_factory=deque)

    @torch.inference_mode()
    def write(self, path: Path, began: float, total: int | None) -> tuple[int, tuple[str, ...]]:
        """Write all frames; return how many there were, and the writer's notes."""
        height, width = self.degradation.out
        spec = spec_like(self.reader.info, width, height)
        check_stream(spec, self.job.encode)
        done = 0
        with (
            working_ahead(self.reader.frames(), QUEUE, "textovsr-decode") as frames,
            VideoWriter(path, spec, self.job.encode) as writer,
        ):
            for image in self.degradation.run(self._images(frames)):
                writer.write(image, *self.times.popleft())
                done += 1
                self.report(Progress(done, total, time.monotonic() - began, image))
        return done, tuple(writer.notes)

    def _images(self, frames: Iterator[Frame]) -> Iterator[Tensor]:
        """The pictures; their times wait until the same number of pictures has come out at the other end."""
        for frame in frames:
            self.check()
            self.times.append((frame.pts, frame.duration))
            yield frame.image.to(self.job.device)
