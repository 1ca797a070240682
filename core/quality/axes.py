"""The lines of a report's timeline, and how far their axes have to go."""

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
