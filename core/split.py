"""A video becomes windows that are parts of its file, to the frame; and windows are read to be stitched."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from .errors import ShapeError
from .job import Source
from .overlaps import overlapping_windows
from .video.reader import VideoReader


@dataclass(frozen=True)
class VideoWindow:
    """A part of a video.

    Attributes:
        source: yields exactly these frames.
        place: which frames of the whole they are.
    """

    source: Source
    place: range


def split_video(source: Source, length: int, overlap: int, report: Callable[[int], None]) -> tuple[VideoWindow, ...]:
    """Cut a video into windows by the times of its own frames, so that variable frame rates are cut to the frame too.

    Decodes the video once. Peak memory is the time of every frame: 2 MB an hour.

    Args:
        source: the video, or a part of it.
        length: frames of a window.
        overlap: frames that neighbours share at least, see ``overlapping_windows``.
        report: called with the number of frames found so far; may raise to cancel.

    Raises:
        VideoError: from ``VideoReader``.
        SettingError: from ``overlapping_windows``.
    """
    overlapping_windows(1, length, overlap)  # refused before the work, not after it
    seconds: list[Fraction] = []
    with _open(source) as reader:
        origin, tick = reader.info.start_ticks, reader.info.time_base
        for ticks in reader.times():
            seconds.append((ticks - origin) * tick)
            report(len(seconds))
    places = overlapping_windows(len(seconds), length, overlap)
    return tuple(VideoWindow(_part(source, seconds, place), place) for place in places)


def _part(source: Source, seconds: list[Fraction], place: range) -> Source:
    """The part from the first frame of ``place`` to the first after it; the whole's own ends stay as they are."""
    start = float(seconds[place.start]) if place.start else source.start
    if place.stop < len(seconds):
        return replace(source, start=start, duration=float(seconds[place.stop] - Fraction(start)))
    if source.duration is None:
        return replace(source, start=start)
    return replace(
        source, start=start, duration=float(Fraction(source.start) + Fraction(source.duration) - Fraction(start))
    )


def count_frames(source: Source) -> int:
    """How many frames a video has: by the count of its container, else by decoding it.

    Raises:
        VideoError: from ``VideoReader``.
    """
    with _open(source) as reader:
        if source.start == 0 and source.duration is None and reader.info.counted:
            return reader.info.frames or 0
        return sum(1 for _ in reader.times())


def read_windows(sources: Sequence[Source], lengths: Sequence[int], check: Callable[[], None]) -> Iterator[Tensor]:
    """Read one window after the other when it is asked for; peak memory: the frames of one.

    Args:
        sources: a window each.
        lengths: the frames that each has.
        check: called before every frame; may raise to cancel.

    Yields:
        (T,3,H,W) RGB in [0,1].

    Raises:
        VideoError: from ``VideoReader``.
        ShapeError: a window has more or fewer frames.
    """
    for source, length in zip(sources, lengths, strict=True):
        window: Tensor | None = None
        count = 0
        with _open(source) as reader:
            for count, frame in enumerate(reader, 1):
                check()
                if window is None:
                    window = torch.empty(length, *frame.image.shape)
                if count <= length:
                    window[count - 1] = frame.image
        if count != length or window is None:
            raise ShapeError(f"Expected {length} frames in {source.path.name}, got {count}; is its file damaged?")
        yield window
        del window


def _open(source: Source) -> VideoReader:
    return VideoReader(source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict)
