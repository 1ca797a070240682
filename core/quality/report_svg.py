"""A timeline as SVG, for a page that is light or dark: colours are the page's CSS classes."""

from html import escape

from .axes import Stretch, rank_places, stretches, value_range
from .measures import Measure
from .plot_ticks import clock, number_labels, time_labels
from .report import QualityReport
from .report_pictures import span
from .report_text import shown

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 150, 56, 8, 8, 24


def draw_panel(report: QualityReport, measure: Measure) -> str:
    """One measure over time: the mean as a line, the range of the frames as a band, cuts, and the worst moments."""
    return _Panel(report, measure).draw()


class _Panel:
    def __init__(self, report: QualityReport, measure: Measure) -> None:
        self._report, self._measure = report, measure
        self._line = stretches(report.summary.timeline, measure.name)
        self._low, self._high = value_range(self._line, measure)
        self._begin, self._end = span(report)

    def _x(self, seconds: float) -> float:
        return round(_LEFT + (seconds - self._begin) / (self._end - self._begin) * (_WIDTH - _LEFT - _RIGHT), 1)

    def _y(self, value: float) -> float:
        room = _HEIGHT - _TOP - _BOTTOM
        return round(_HEIGHT - _BOTTOM - (value - self._low) / (self._high - self._low) * room, 1)

    def draw(self) -> str:
        """The element."""
        label = f"{self._measure.heading} over time"
        head = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        return "".join([head, *self._moments(), *self._grid(), *self._cuts(), *self._curve(self._line), "</svg>"])

    def _moments(self) -> list[str]:
        if self._measure != self._report.worst_by:
            return []
        drawn = []
        for number, worst in enumerate(self._report.summary.worst, 1):
            left, right = self._x(worst.start), min(self._x(worst.start + worst.duration), _WIDTH - _RIGHT)
            title = f"worst moment {number}: {clock(worst.start, 3)}, {shown(self._measure, worst.value)}"
            # One pixel less, so that two in a row are two.
            size = f'x="{left}" y="{_TOP}" width="{max(right - left - 1, 2):.1f}" height="{_HEIGHT - _TOP - _BOTTOM}"'
            drawn.append(f'<rect class="moment" {size}><title>{escape(title)}</title></rect>')
        for x, rank in rank_places(self._report, self._x):
            drawn.append(f'<text class="rank" x="{x}" y="{_TOP + 13}" text-anchor="middle">{rank}</text>')
        return drawn

    def _grid(self) -> list[str]:
        drawn = []
        for tick, text in number_labels((self._low, self._high), 4):
            y = self._y(tick)
            drawn.append(f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>')
            drawn.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>')
        for time, text in time_labels((self._begin, self._end), 10):
            # The first and the last label would stick out.
            x = min(max(self._x(time), _LEFT + 12), _WIDTH - 22)
            drawn.append(f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="middle">{text}</text>')
        return drawn

    def _cuts(self) -> list[str]:
        cuts = "".join(f"M{self._x(cut)} {_TOP}V{_HEIGHT - _BOTTOM}" for cut in self._report.summary.cuts)
        return [f'<path class="cut" d="{cuts}"/>'] if cuts else []

    def _curve(self, line: list[Stretch]) -> list[str]:
        if len(line) == 1:
            return [f'<circle class="dot" cx="{self._x(line[0].seconds)}" cy="{self._y(line[0].mean)}" r="3"/>']
        most = [f"{self._x(s.seconds)},{self._y(s.most)}" for s in line]
        least = [f"{self._x(s.seconds)},{self._y(s.least)}" for s in reversed(line)]
        mean = [f"{self._x(s.seconds)},{self._y(s.mean)}" for s in line]
        band = f'<polygon class="band" points="{" ".join([*most, *least])}"/>'
        return [band, f'<polyline class="line" points="{" ".join(mean)}"/>']
