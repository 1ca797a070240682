"""The frames of a piece, read from its middle of the video, and checked to be the ones that the survey saw."""

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

from ..errors import VideoError
from ..job import Job, Source
from ..prompts import Prompter
from ..restoration import ShotFrame
from ..video.reader import Frame, VideoReader
from .survey import Marks, alike, fingerprint

log = logging.getLogger(__name__)

_RUN_UP = Fraction(1, 2)
"""Seconds before the first frame that are decoded too: deinterlacing looks at the frames beside one."""


def read_marked(source: Source, job: Job, marks: Marks) -> Iterator[ShotFrame]:
    """Yield the frames that ``marks`` describe, with their texts and shots.

    Decoding begins at a key frame nearby. A frame that is not the one it should be, as after a damaged key frame, ends
    that: the rest is decoded from the beginning of the video, as a job of one process does.

    Raises:
        VideoError: the frames are other ones all the same.
    """
    prompted, index, count = _prompter(source, job), 0, len(marks.times)
    for begin in (_nearby, _from_the_beginning):
        with closing(begin(source, marks, index)) as frames:
            for frame in _checked(frames, marks, index):
                yield prompted(frame, marks.shots[index])
                index += 1
        if index == count:
            return
        log.info("%s: frame %d cannot be sought.", source.path, marks.begin + index)
    raise VideoError(
        f"Expected frame {marks.begin + index} of {source.path} to be the same on every machine, but here it is "
        "decoded differently; install the same version of PyAV everywhere."
    )


def settled(source: Source, reader: VideoReader) -> Source:
    """The source with what its reader has found out, so that no worker needs to look for it again."""
    source = replace(source, strict=False)  # the survey is strict enough for all
    if source.deinterlace == "auto" and not reader.info.interlaced and not reader.scan.combed:
        return replace(source, deinterlace="off")
    return source


def _prompter(source: Source, job: Job) -> Prompter:
    with VideoReader(source.path) as reader:
        return Prompter(job, reader.info)


def _nearby(source: Source, marks: Marks, index: int) -> Generator[Frame, None, None]:
    """The frames from the ``index``-th mark on, decoded from a key frame at or before it; none if that fails."""
    first = marks.times[index]
    with VideoReader(source.path) as reader:
        seconds = (first - reader.info.start_ticks) * reader.info.time_base
    try:
        begin = max(seconds - _RUN_UP, Fraction(0))
        with VideoReader(source.path, begin, deinterlace=source.deinterlace) as reader:
            yield from (frame for frame in reader if frame.pts >= first)
    except VideoError as error:
        log.debug("%s: %s", source.path, error)


def _from_the_beginning(source: Source, marks: Marks, index: int) -> Generator[Frame, None, None]:
    with VideoReader(source.path, source.start, source.duration, deinterlace=source.deinterlace) as reader:
        yield from reader.frames(skip=marks.begin + index)


def _checked(frames: Iterable[Frame], marks: Marks, index: int) -> Iterator[Frame]:
    """These frames, from the ``index``-th mark on, up to the first that is another one."""
    for place, frame in enumerate(frames, index):
        if frame.pts != marks.times[place] or not alike(fingerprint(frame.image), marks.print_of(place)):
            return
        yield frame
        if place + 1 == len(marks.times):
            return
