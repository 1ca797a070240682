"""A video becomes windows that are parts of its file, to the frame; nothing is converted or kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

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
    with VideoReader(
        source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
    ) as reader:
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
