"""From rows to what a person reads: statistics, a bounded timeline, the worst moments; in one pass, at any length."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from .measures import Measure
from .rows import Row

POINTS = 600
"""A timeline has from this many points to twice as many, once there are enough frames."""


@dataclass
class Statistics:
    """Of one measure over a video; NaN while nothing was measured.

    Attributes:
        frames: that were measured.
        mean: over them.
        deviation: standard.
        least: value.
        most: value.
    """

    frames: int = 0
    mean: float = math.nan
    least: float = math.nan
    most: float = math.nan
    _squares: float = 0.0

    def add(self, value: float) -> None:
        """Take in a value (Welford, 1962)."""
        self.frames += 1
        if self.frames == 1:
            self.mean = self.least = self.most = value
            return
        offset = value - self.mean
        self.mean += offset / self.frames
        self._squares += offset * (value - self.mean)
        self.least, self.most = min(self.least, value), max(self.most, value)

    @property
    def deviation(self) -> float:
        """Standard deviation over the frames."""
        return math.sqrt(self._squares / self.frames) if self.frames else math.nan


@dataclass
class Point:
    """Some frames that follow each other.

    Attributes:
        seconds: of the first.
        values: statistics by the measures' names.
    """

    seconds: float
    values: dict[str, Statistics] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take in a row."""
        for name, value in row.values.items():
            self.values.setdefault(name, Statistics()).add(value)

    def join(self, other: "Point") -> None:
        """Take in the next point."""
        for name, theirs in other.values.items():
            ours = self.values.setdefault(name, Statistics())
            if not ours.frames:
                self.values[name] = theirs
                continue
            frames = ours.frames + theirs.frames
            ours.mean += (theirs.mean - ours.mean) * theirs.frames / frames
            ours.least, ours.most = min(ours.least, theirs.least), max(ours.most, theirs.most)
            ours.frames = frames


@dataclass(frozen=True)
class Worst:
    """One of the worst moments of a video.

    Attributes:
        start: seconds from the beginning of the video's file, as LoadVideo takes them.
        duration: seconds.
        value: the mean of the measure that decides.
        seconds: of the worst frame in it.
        reference_seconds: where that frame is in the reference's file; NaN without one.
    """

    start: float
    duration: float
    value: float
    seconds: float
    reference_seconds: float


@dataclass(frozen=True)
class Summary:
    """All of a video's rows, in bounded memory.

    Attributes:
        statistics: by the measures' names.
        timeline: from ``POINTS`` to twice as many points, fewer for fewer frames.
        cuts: seconds at which shots begin, without the first; the first ``2 * POINTS``.
        worst: the worst moments, the worst one first.
        rows: number of measured frames.
        shots: number of shots.
        end: seconds of the last row.
    """

    statistics: dict[str, Statistics]
    timeline: tuple[Point, ...]
    cuts: tuple[float, ...]
    worst: tuple[Worst, ...]
    rows: int
    shots: int
    end: float


@dataclass(frozen=True)
class WorstRule:
    """Which moments are the worst.

    Attributes:
        measure: decides.
        count: of moments, at most.
        window: seconds of a moment, at most; none spans a cut.
        step: seconds from one row to the next, about.
    """

    measure: Measure
    count: int
    window: float
    step: float


def summarize(rows: Iterable[Row], measures: Sequence[Measure], rule: WorstRule) -> Summary:
    """Read all rows once."""
    statistics = {measure.name: Statistics() for measure in measures}
    timeline, cuts, worst = _Timeline(), list[float](), _WorstMoments(rule)
    number, shot, end = 0, 0, 0.0
    for row in rows:
        for name, value in row.values.items():
            statistics[name].add(value)
        if row.shot != shot:
            shot = row.shot
            if len(cuts) < 2 * POINTS:
                cuts.append(row.seconds)
        timeline.add(row)
        worst.add(row)
        number, end = number + 1, row.seconds
    return Summary(statistics, tuple(timeline.points), tuple(cuts), worst.close(), number, shot + 1, end)


class _Timeline:
    """Points that are joined in pairs whenever there are too many."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._stride, self._rows = 1, 0

    def add(self, row: Row) -> None:
        if self._rows % self._stride == 0:
            if len(self.points) == 2 * POINTS:
                self._join()
            if self._rows % self._stride == 0:
                self.points.append(Point(row.seconds))
        self.points[-1].add(row)
        self._rows += 1

    def _join(self) -> None:
        for first, second in zip(self.points[::2], self.points[1::2], strict=True):
            first.join(second)
        self.points = self.points[::2]
        self._stride *= 2


class _WorstMoments:
    """The worst windows so far, in a heap whose top is the least bad of them."""

    def __init__(self, rule: WorstRule) -> None:
        self._rule = rule
        self._heap: list[tuple[float, int, Worst]] = []
        self._order = count()
        self._window: list[Row] = []

    def add(self, row: Row) -> None:
        first = self._window[0] if self._window else row
        # Half a step of slack: 25 rows at 25 a second are one second, however their times are rounded.
        if row.shot != first.shot or row.seconds - first.seconds > self._rule.window - self._rule.step / 2:
            self._end(row.seconds)
        self._window.append(row)

    def close(self) -> tuple[Worst, ...]:
        """The worst first."""
        if self._window:
            self._end(self._window[-1].seconds + self._rule.step)
        return tuple(worst for _, _, worst in sorted(self._heap, reverse=True))

    def _end(self, end: float) -> None:
        rows, self._window = self._window, []
        name, sign = self._rule.measure.name, -1 if self._rule.measure.higher_is_better else 1
        rated = [row for row in rows if name in row.values]
        if not rated:
            return
        value = sum(row.values[name] for row in rated) / len(rated)
        peak = max(rated, key=lambda row: sign * row.values[name])
        worst = Worst(rows[0].seconds, end - rows[0].seconds, value, peak.seconds, peak.reference_seconds)
        heapq.heappush(self._heap, (sign * value, -next(self._order), worst))
        if len(self._heap) > self._rule.count:
            heapq.heappop(self._heap)
