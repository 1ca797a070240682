"""When every frame of a video is shown, so that frame k can be found without counting up to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .probe import VideoInfo
from .reader import VideoReader
from .source import demux_safely, find_video_stream, open_source, to_ticks

_BETWEEN_CHECKS = 500
_WITH_UNSEEN_PACKETS = ("vp8",)
"""Codecs whose streams hold packets that are never shown, and do not say which."""


@dataclass(frozen=True)
class FrameIndex:
    """Presentation times of all frames.

    Attributes:
        times: ticks, ascending; the number of a time is the number of its frame. 8 bytes a frame.
        time_base: seconds a tick.
        decoded: whether the frames were decoded to find out; else the file's packets were believed.
    """

    times: NDArray[np.int64]
    time_base: Fraction
    decoded: bool

    def __len__(self) -> int:
        return len(self.times)

    def number(self, pts: int | None) -> int | None:
        """The frame that is shown from ``pts`` on; None if there is none."""
        if pts is None:
            return None
        at = int(np.searchsorted(self.times, pts))
        return at if at < len(self.times) and self.times[at] == pts else None

    def at(self, seconds: float) -> int:
        """The frame on the screen at a time, in seconds from the first frame; the first or the last outside."""
        ticks = int(self.times[0]) + int(Fraction(seconds) / self.time_base + Fraction(1, 1000))
        found = int(np.searchsorted(self.times, ticks, side="right")) - 1
        return min(max(found, 0), len(self.times) - 1)

    def seconds(self, number: int) -> float:
        """When a frame is shown, in seconds from the first one."""
        return float(int(self.times[number] - self.times[0]) * self.time_base)

    def span(self, start: float, duration: float | None) -> range:
        """The frames that a ``VideoReader`` of this part yields."""
        first = self._from(Fraction(start))
        end = len(self) if duration is None else self._from(Fraction(start) + Fraction(duration))
        return range(first, max(end, first))

    def _from(self, seconds: Fraction) -> int:
        return int(np.searchsorted(self.times, int(self.times[0]) + to_ticks(seconds, self.time_base)))


def index_frames(info: VideoInfo, check: Callable[[], None] = lambda: None) -> FrameIndex:
    """Find out when every frame is shown: from the packets, without decoding, where they tell; else by decoding.

    Peak memory: 16 bytes a frame.

    Args:
        info: the video.
        check: called now and then; raises to stop.

    Raises:
        VideoError: the file cannot be read.
    """
    times = _times_of_packets(info, check)
    if times is None:
        return index_by_decoding(info, check)
    return FrameIndex(times, info.time_base, decoded=False)


def index_by_decoding(info: VideoInfo, check: Callable[[], None] = lambda: None) -> FrameIndex:
    """Decode a video to the end and note when each frame is shown; see ``index_frames``."""
    with VideoReader(info.path, deinterlace="off") as reader:
        times = np.fromiter(_checked(reader.times(), check), np.int64)
    return FrameIndex(times, info.time_base, decoded=True)


def _times_of_packets(info: VideoInfo, check: Callable[[], None]) -> NDArray[np.int64] | None:
    """Ascending ticks; None where packets cannot be believed: damage, no times, the same time twice."""
    if info.codec in _WITH_UNSEEN_PACKETS:
        return None
    try:
        times = np.sort(np.fromiter(_checked(_packet_times(info), check), np.int64))
    except _UnbelievableError:
        return None
    times = times[times >= info.start_ticks]  # those before hang on a key frame that was cut off
    return times if len(times) and times[0] == info.start_ticks and (np.diff(times) > 0).all() else None


def _packet_times(info: VideoInfo) -> Iterator[int]:
    with open_source(info.path) as container:
        stream = find_video_stream(container, info.path)
        for packet in demux_safely(container, [stream]):
            if packet is None or packet.is_corrupt:
                raise _UnbelievableError
            if packet.size and not packet.is_discard:
                if packet.pts is None:
                    raise _UnbelievableError
                yield packet.pts


class _UnbelievableError(Exception):
    """The packets do not say when frames are shown."""


def _checked(items: Iterator[int], check: Callable[[], None]) -> Iterator[int]:
    while batch := list(islice(items, _BETWEEN_CHECKS)):
        check()
        yield from batch
