"""Which part of a source is kept, and what becomes of its timeline."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.format import Flags

from .probe import VideoInfo, probe
from .source import open_source, to_ticks

_SEEK_MARGIN = 10
"""Seconds before the window from which on packets are looked at, for streams whose packets are few."""


@dataclass(frozen=True)
class Window:
    """Which part of the source is kept, in seconds of the source's timeline.

    Attributes:
        origin: the time that becomes 0.
        begin: what ends before is left out; None keeps all.
        end: what starts at or after is left out; None keeps all.
    """

    origin: Fraction
    begin: Fraction | None = None
    end: Fraction | None = None

    def overlaps(self, start: Fraction, duration: Fraction) -> bool:
        """Whether [start, start + duration) has a part in the window; nothing lasts less than a point."""
        if self.end is not None and start >= self.end:
            return False
        return self.begin is None or start >= self.begin or start + duration > self.begin

    def is_over(self, start: Fraction) -> bool:
        """Whether ``start`` lies behind the window."""
        return self.end is not None and start >= self.end

    def approach(self, container: InputContainer) -> None:
        """Go forward in a newly opened file to where what overlaps the window begins."""
        if self.begin is None:
            return
        target = (self.begin - _SEEK_MARGIN) * av.time_base
        if target > (container.start_time or 0):  # AVI fails at times before its first
            container.seek(int(target))


def window_of(source: Path, start: float, duration: float | None) -> Window:
    """Return the part of the timeline of ``source`` that a trim keeps, on ticks of the video's time base.

    With ``start`` > 0 that instant becomes 0 (the first frame may come a fraction of a frame later). Otherwise the
    source's timeline stays as it is, except where its clock may begin anywhere (MPEG-TS and -PS): there the earliest
    stream begins at 0.

    Raises:
        VideoError: the source cannot be read.
    """
    info = probe(source)
    window = _kept(info, start, duration)
    if start > 0:
        return window
    with open_source(source) as container:
        if not container.format.flags & cast(int, Flags.ts_discont.value) or container.start_time is None:
            return window
        ticks = Fraction(container.start_time, av.time_base) // info.time_base
        return Window(ticks * info.time_base, window.begin, window.end)


def _kept(info: VideoInfo, start: float, duration: float | None) -> Window:
    begin = info.start_ticks + to_ticks(start, info.time_base)
    end = None
    if duration is not None:
        end = info.start_ticks + to_ticks(Fraction(start) + Fraction(duration), info.time_base)
    return Window(
        origin=begin * info.time_base if start > 0 else Fraction(0),
        begin=begin * info.time_base if start > 0 else None,
        end=None if end is None else end * info.time_base,
    )
