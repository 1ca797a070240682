"""What a plot is made of: data, and the field between its axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEAST_SIZE = (320, 200)
"""Width and height, in pixels, of the smallest picture in which axes and letters have room."""

_HEADROOM = 0.06  # of the values' range, above and below


@dataclass(frozen=True)
class Series:
    """A line.

    Attributes:
        name: for the legend.
        times: seconds, or numbers of frames; not decreasing.
        values: one for each time; one that is not finite leaves a gap.
    """

    name: str
    times: Sequence[float]
    values: Sequence[float]

    def mean(self) -> float:
        """The mean of the finite values; NaN if there are none."""
        values = finite(self.values)
        return float(values.mean()) if values.size else math.nan


@dataclass(frozen=True)
class Timeline:
    """What to draw.

    Attributes:
        series: lines, the first one on top.
        title: above the picture.
        limits: lowest and highest value of the axis; None fits the values.
        unit: what times are.
        cuts: times at which a shot begins; dashed lines.
        marks: spans of time to point out, from and to; yellow.
        size: width and height of the picture in pixels, at least ``LEAST_SIZE``.
    """

    series: tuple[Series, ...]
    title: str = ""
    limits: tuple[float, float] | None = None
    unit: Literal["seconds", "frames"] = "seconds"
    cuts: Sequence[float] = ()
    marks: Sequence[tuple[float, float]] = ()
    size: tuple[int, int] = (1200, 420)


@dataclass(frozen=True)
class Field:
    """Where the axes are in the picture, in pixels, and what they show."""

    left: float
    top: float
    right: float
    bottom: float
    times: tuple[float, float]
    values: tuple[float, float]

    def x(self, time: float) -> float:
        """Column of a time, kept within the field."""
        return self.left + _share(time, self.times) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Row of a value, kept within the field."""
        return self.bottom - _share(value, self.values) * (self.bottom - self.top)


def time_span(series: Sequence[Series]) -> tuple[float, float]:
    """First and last time of all series, apart from each other."""
    ends = [time for line in series for time in (*line.times[:1], *line.times[-1:])]
    first, last = (min(ends), max(ends)) if ends else (0.0, 1.0)
    return first, last if last > first else first + 1


def value_span(series: Sequence[Series], limits: tuple[float, float] | None) -> tuple[float, float]:
    """Lowest and highest value to show: ``limits``, or those of the finite values with room around them."""
    values = np.concatenate([finite(line.values) for line in series])
    if limits is not None or not values.size:
        low, high = limits or (0.0, 1.0)
        return low, high if high > low else low + 1
    low, high = float(values.min()), float(values.max())
    room = (high - low) * _HEADROOM or max(abs(high), 1.0) * _HEADROOM
    return low - room, high + room


def finite(values: Sequence[float]) -> np.ndarray:
    """The finite ones among some values."""
    array = np.asarray(values, float)
    return array[np.isfinite(array)]


def _share(value: float, span: tuple[float, float]) -> float:
    return min(max((value - span[0]) / (span[1] - span[0]), 0.0), 1.0)
