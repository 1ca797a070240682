"""Lines and areas of a plot, on a canvas larger than the picture: shrinking it makes their edges smooth."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .plot_parts import Field, Series, Timeline
from .plot_ticks import Labels

if TYPE_CHECKING:
    from PIL import ImageDraw

Point = tuple[float, float]

TIMES_LARGER = 3
"""How many times the canvas is as wide and as high as the picture."""

PALETTE = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#b91c1c")
"""Colours of series; they begin again after the last one."""

_GRID, _AXIS, _CUT, _MARK = "#e5e7eb", "#9ca3af", "#6b7280", "#fef3c7"
_PER_CUT = 14  # pixels; where cuts are closer, they are told by their beginnings
_SHORT = 12
_DOTS = 80  # values up to which each one gets a dot
_PALE = 0.22  # of a colour in the area between the lowest and the highest values


class Ink:
    """Draws a timeline's lines; everything is given in pixels of the picture."""

    def __init__(self, draw: "ImageDraw.ImageDraw", field: Field) -> None:
        self._draw, self._field = draw, field

    def everything(self, timeline: Timeline, times: Labels, values: Labels) -> None:
        """Marks, grid, cuts and series, from back to front."""
        field = self._field
        for begin, end in timeline.marks:
            left = field.x(begin)
            self.box((left, field.top, max(field.x(end), left + 2), field.bottom), _MARK)
        for value, _ in values:
            self._line([(field.left, field.y(value)), (field.right, field.y(value))], _GRID, 1)
        within = [cut for cut in timeline.cuts if field.times[0] < cut < field.times[1]]
        end = field.bottom if len(within) * _PER_CUT <= field.right - field.left else field.top + _SHORT
        for cut in within:
            self._dashes(field.x(cut), end)
        for index in reversed(range(len(timeline.series))):
            first_of_many = index == 0 and len(timeline.series) > 1
            self._series(timeline.series[index], PALETTE[index % len(PALETTE)], 3.0 if first_of_many else 2.0)
        for time, _ in times:
            self._line([(field.x(time), field.bottom), (field.x(time), field.bottom + 5)], _AXIS, 1)
        self._line([(field.left, field.bottom), (field.right, field.bottom)], _AXIS, 1)

    def box(self, edges: tuple[float, float, float, float], color: str) -> None:
        """Fill from left and top to right and bottom."""
        left, top, right, bottom = (round(edge * TIMES_LARGER) for edge in edges)
        self._draw.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), color)

    def _series(self, series: Series, color: str, width: float) -> None:
        values = np.asarray(series.values, float)
        if len(values) > self._field.right - self._field.left:
            self._columns(series, values, color)
            return
        for run in self._runs(series.times, values.tolist()):
            self._line(run, color, width)
            for point in run if len(values) <= _DOTS or len(run) == 1 else ():
                self._dot(point, 3.2, color)

    def _runs(self, times: Sequence[float], values: list[float]) -> list[list[Point]]:
        """Points without gaps between them."""
        runs: list[list[Point]] = [[]]
        for time, value in zip(times, values, strict=True):
            if math.isfinite(value):
                runs[-1].append((self._field.x(time), self._field.y(value)))
            elif runs[-1]:
                runs.append([])
        return runs

    def _columns(self, series: Series, values: np.ndarray, color: str) -> None:
        """More values than columns: the mean of each column over the range of its values."""
        field, pale = self._field, _pale(color)
        columns = round(field.right - field.left)
        edges = np.searchsorted(np.asarray(series.times, float), np.linspace(*field.times, columns + 1))
        edges[-1] = len(values)
        runs: list[list[Point]] = [[]]
        for number, (begin, end) in enumerate(pairwise(edges.tolist())):
            here = values[begin:end][np.isfinite(values[begin:end])]
            if here.size:
                x = field.left + number
                self.box((x, field.y(float(here.max())), x + 1, field.y(float(here.min())) + 0.5), pale)
                runs[-1].append((x + 0.5, field.y(float(here.mean()))))
            elif end > begin and runs[-1]:
                runs.append([])
        for run in runs:
            self._line(run, color, 1.7)

    def _dashes(self, x: float, end: float) -> None:
        y = self._field.top
        while y < end:
            self._line([(x, y), (x, min(y + 4, end))], _CUT, 1)
            y += 8

    def _line(self, points: list[Point], color: str, width: float) -> None:
        large = [(x * TIMES_LARGER, y * TIMES_LARGER) for x, y in points]
        if len(large) > 1:
            self._draw.line(large, fill=color, width=round(width * TIMES_LARGER), joint="curve")

    def _dot(self, point: Point, radius: float, color: str) -> None:
        x, y = point
        edges = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse(tuple(edge * TIMES_LARGER for edge in edges), color)


def _pale(color: str) -> str:
    """A colour thinned with white."""
    parts = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - _PALE * (255 - part)):02x}" for part in parts)
