"""Numbers for axes: round ticks, times as people write them, and the lines of a timeline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .summary import Point


@dataclass(frozen=True)
class Stretch:
    """A point of one measure's timeline: seconds, and least, mean and most of its frames."""

    seconds: float
    least: float
    mean: float
    most: float


def stretches(timeline: Sequence[Point], name: str) -> list[Stretch]:
    """The timeline of one measure, without the points where it could not be measured."""
    found = ((point.seconds, point.values[name]) for point in timeline if name in point.values)
    return [Stretch(seconds, values.least, values.mean, values.most) for seconds, values in found]


def value_range(line: Sequence[Stretch]) -> tuple[float, float]:
    """From where to where an axis has to go to show a timeline, with some air; never empty."""
    low, high = min(s.least for s in line), max(s.most for s in line)
    air = (high - low) * 0.08 or max(abs(high) * 0.05, 0.01)
    # Most measures are never negative: an axis that begins below 0 would say that they could be.
    return (low - air if low < 0 or low - air > 0 else 0.0), high + air


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` round numbers, and one at least, between two, evenly spaced."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    while (high - low) / step > most:
        step *= 2.5 if f"{step:e}".startswith("2") else 2
    first = math.ceil(low / step - 1e-9)
    return [round(step * k, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)] or [low]


_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


def time_ticks(begin: float, end: float, most: int) -> list[float]:
    """Times between two, in seconds, as clocks are divided."""
    step = next((step for step in _SECONDS if (end - begin) / step <= most), _SECONDS[-1])
    return [round(step * k, 6) for k in range(math.ceil(begin / step - 1e-9), math.floor(end / step + 1e-9) + 1)]


def clock(seconds: float, digits: int = 3) -> str:
    """1:02:03.400, without hours if there are none: 2:03.400."""
    whole = round(max(seconds, 0.0) * 10**digits)
    minutes, rest = divmod(whole, 60 * 10**digits)
    width = 3 + digits if digits else 2
    tail = f"{rest / 10**digits:0{width}.{digits}f}"
    return f"{minutes // 60}:{minutes % 60:02}:{tail}" if minutes >= 60 else f"{minutes}:{tail}"
