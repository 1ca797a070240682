"""A video file made of frames that come one by one, with the times, the sound and all else of its source."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from .color_fix import fix_color
from .config import QUEUE, ColorFix, EncodeConfig
from .errors import OutputError, SettingError, VideoError
from .job import Progress, Report, Source
from .stages import Consumer, working_ahead
from .unfinished import unfinished
from .video.color import BT709, ColorTags
from .video.encoders import VideoSpec, check_output, check_stream, spec_like
from .video.mux import MuxReport, mux
from .video.reader import VideoReader
from .video.writer import VideoWriter

_Timed: TypeAlias = "tuple[Tensor | None, int, int]"
"""A frame of the source if there is one, and pts and duration in ticks."""


@dataclass(frozen=True)
class FramesJob:
    """What to make of a stream of frames.

    Attributes:
        frames: how many will come, at least one.
        encode: codec and quality.
        color_fix: how colours are brought back to the source's.
        frame_rate: frames a second where there is no source.
    """

    frames: int
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    color_fix: ColorFix = "none"
    frame_rate: Fraction = Fraction(25)


@dataclass(frozen=True)
class Made:
    """The outcome: the file, what became of the source's other streams, and sentences for the user."""

    path: Path
    streams: MuxReport = field(default_factory=MuxReport)
    notes: tuple[str, ...] = ()


def video_from_frames(
    frames: Iterable[Tensor], output: Path, job: FramesJob, source: Source | None, report: Report
) -> Made:
    """Write frames to ``output``, which appears only when it is whole.

    Peak memory: a few frames and what the encoder holds back.

    Args:
        frames: (3,H,W) RGB in [0,1], ``job.frames`` of them, each belonging to one of the source's.
        output: the file; its suffix is the container.
        job: what to make.
        source: gives every frame its exact time, and sound, subtitles, chapters, tags and colours; None gives a
            constant rate, and BT.709.
        report: called after every frame.

    Raises:
        SettingError: the source has another number of frames, or there is none to fix colours by.
        VideoError: the source cannot be read.
        OutputError: the result cannot be written as asked.
    """
    if job.encode.codec == "png":
        raise OutputError("Expected a codec for a video file, got png; choose h264, hevc, av1, prores or ffv1.")
    if source is None and job.color_fix != "none":
        raise SettingError(
            f"Expected a source to fix colours by ({job.color_fix}), got none; connect it, or choose none."
        )
    check_output(output, job.encode)
    with ExitStack() as stack:
        partial = stack.enter_context(unfinished(output))
        if source is None:
            clock: Iterator[_Timed] = ((None, index, 1) for index in range(job.frames))
            first, frames = _look(frames)
            notes = _write(zip(frames, clock, strict=False), (partial, _plain_spec(first, job)), job, report)
            partial.replace(output)
            return Made(output, notes=notes)
        reader = stack.enter_context(open_source(source))
        _check_count(reader, source, job.frames)
        first, frames = _look(frames)
        spec = spec_like(reader.info, first.shape[-1], first.shape[-2])
        read = ((frame.image, frame.pts, frame.duration) for frame in reader)
        clock = stack.enter_context(working_ahead(read, QUEUE, "textovsr-decode"))
        notes = _write(zip(frames, clock, strict=False), (partial, spec), job, report)
        place = partial.parent
        streams = mux([partial], source.path, output, start=source.start, duration=source.duration, work=place)
        return Made(output, streams, (*reader.report.notes, *notes))


def open_source(source: Source) -> VideoReader:
    """The frames of a source."""
    return VideoReader(source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict)


def _check_count(reader: VideoReader, source: Source, frames: int) -> None:
    """Find out before the work whether the source has as many frames; its header is believed only if it says so."""
    whole = source.start == 0 and source.duration is None
    if whole and reader.info.frames == frames:
        return
    found = sum(1 for _ in reader.times())
    if found != frames:
        raise SettingError(
            f"Expected a source of {frames} frames, as many as the latents give, got {source.path.name} with {found}; "
            "connect the video that was encoded, and if the latents are windows, stitch them first."
        )


def _look(frames: Iterable[Tensor]) -> tuple[Tensor, Iterator[Tensor]]:
    """The first frame, and all of them."""
    stream = iter(frames)
    first = next(stream)
    return first, chain([first], stream)


def _plain_spec(first: Tensor, job: FramesJob) -> VideoSpec:
    return VideoSpec(
        width=first.shape[-1],
        height=first.shape[-2],
        time_base=1 / job.frame_rate,
        frame_rate=job.frame_rate,
        sample_aspect_ratio=Fraction(1),
        color=ColorTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False),
    )


def _write(
    frames: Iterable[tuple[Tensor, _Timed]], result: tuple[Path, VideoSpec], job: FramesJob, report: Report
) -> tuple[str, ...]:
    """Encode in a thread of its own what this thread is given; returns the writer's notes."""
    check_stream(result[1], job.encode)
    began, done = time.monotonic(), 0

    def encode(items: Iterator[tuple[Tensor, _Timed]]) -> tuple[str, ...]:
        with torch.inference_mode(), VideoWriter(*result, job.encode) as writer:
            for image, (original, pts, duration) in items:
                fixed = image if original is None else fix_color(image, original, job.color_fix)
                writer.write(fixed, pts, duration)
            return tuple(writer.notes)

    with Consumer(encode, QUEUE, "textovsr-encode") as encoding:
        for item in frames:
            encoding.put(item)
            done += 1
            report(Progress(done, job.frames, time.monotonic() - began, item[0], original=item[1][0]))
        if done != job.frames:
            raise VideoError(f"Expected {job.frames} frames, got {done}; is the source damaged, or did it change?")
    return encoding.result
