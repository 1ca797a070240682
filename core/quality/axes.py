"""The lines of a report's timeline, and how far their axes have to go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .measures import Measure
from .report import QualityReport
from .summary import Point

_LEAST_STEPS = 20
_RANK_WIDTH = 18


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


def value_range(line: Sequence[Stretch], measure: Measure) -> tuple[float, float]:
    """From where to where an axis has to go to show a timeline, with some air.

    It spans ``_LEAST_STEPS`` of the measure's last digit at least: nobody sees less, and it should not look like much.
    """
    low, high = min(s.least for s in line), max(s.most for s in line)
    least = _LEAST_STEPS * 10.0**-measure.digits
    air = max((high - low) * 0.08, (least - (high - low)) / 2)
    # Most measures are never negative: an axis that begins below 0 would say that they could be.
    bottom = low - air if low < 0 or low - air > 0 else 0.0
    return bottom, max(high + air, bottom + least)


def rank_places(report: QualityReport, x: Callable[[float], float]) -> list[tuple[float, str]]:
    """Where the ranks of the worst moments are written above them, in pixels; of two that would overlap the worse."""
    places: list[tuple[float, str]] = []
    for rank, worst in enumerate(report.summary.worst, 1):
        middle = x(min(worst.start + worst.duration / 2, report.summary.end))
        if all(abs(middle - other) >= _RANK_WIDTH for other, _ in places):
            places.append((middle, str(rank)))
    return places
