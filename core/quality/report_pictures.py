"""The pictures of a report: timelines, the temporal profile, and the worst moments."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import EmptyVideoError, MissingDependencyError
from ..job import Source
from ..video.reader import VideoReader
from .axes import rank_places, stretches, value_range
from .measures import Measure
from .plot_ticks import number_labels, time_labels
from .report import QualityReport
from .summary import Worst

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

THUMBNAIL_WIDTH = 480
"""Pixels of a worst moment's picture; two of them side by side where there is a reference."""

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _FOOT = 1200, 130, 70, 16, 26, 30
_FINE = 2  # times larger than shown, then averaged down
_INK, _FAINT, _GRID, _LINE, _BAND, _MARK = "#1f2937", "#6b7280", "#e5e7eb", "#1d4ed8", "#c7d5f7", "#fde2c4"
_RANK = "#b45309"
_GAP = 6
_LEAST_HEIGHT = 240


@dataclass(frozen=True)
class Thumbnail:
    """The worst frame of a worst moment.

    Attributes:
        worst: the moment.
        image: (h,w,3) uint8; the reference's frame, if there is one, stands to the right.
    """

    worst: Worst
    image: Tensor


def pillow() -> Any:
    """The module ``PIL``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package pillow to draw the report, found none; install it with pip install pillow."
        ) from error
    return PIL


def draw_timelines(report: QualityReport) -> Tensor:
    """All measures over time, one below the other, (H,W,3) uint8: means, with the range of the frames behind them.

    Raises:
        MissingDependencyError: Pillow is not installed.
    """
    pil = pillow()
    shown = [measure for measure in report.measures if report.summary.statistics[measure.name].frames]
    height = _PANEL * len(shown) + _FOOT
    picture = pil.Image.new("RGB", (_WIDTH * _FINE, height * _FINE), "white")
    drawing = pil.ImageDraw.Draw(picture)
    for number, measure in enumerate(shown):
        _Panel(report, measure, number * _PANEL).lines(drawing)
    picture = picture.reduce(_FINE)
    drawing, font = pil.ImageDraw.Draw(picture), pil.ImageFont.load_default(13)
    for number, measure in enumerate(shown):
        _Panel(report, measure, number * _PANEL).words(drawing, font)
    _write_times(report, drawing, font, height - _FOOT + 6)
    return _tensor(picture)


class _Panel:
    """One measure's timeline: ``lines`` are drawn finely, ``words`` on what became of them."""

    def __init__(self, report: QualityReport, measure: Measure, top: int) -> None:
        self._report, self._measure = report, measure
        self._line = stretches(report.summary.timeline, measure.name)
        self._low, self._high = value_range(self._line, measure)
        self._begin, self._end = span(report)
        self._top, self._bottom = top + _TOP, top + _PANEL - 8

    def _x(self, seconds: float) -> float:
        return _across(seconds, self._begin, self._end)

    def _y(self, value: float) -> float:
        return self._bottom - (value - self._low) / (self._high - self._low) * (self._bottom - self._top)

    def lines(self, drawing: "ImageDraw") -> None:
        """Everything but letters."""

        def fine(*points: tuple[float, float]) -> list[tuple[float, float]]:
            return [(x * _FINE, y * _FINE) for x, y in points]

        if self._measure == self._report.worst_by:
            for worst in self._report.summary.worst:
                left, right = self._x(worst.start), min(self._x(worst.start + worst.duration), _WIDTH - _RIGHT)
                drawing.rectangle(fine((left, self._top), (max(right - 1, left + 1), self._bottom)), fill=_MARK)
        for tick, _ in number_labels((self._low, self._high), 4):
            drawing.line(fine((_LEFT, self._y(tick)), (_WIDTH - _RIGHT, self._y(tick))), fill=_GRID, width=_FINE)
        for cut in self._report.summary.cuts:
            drawing.line(fine((self._x(cut), self._top), (self._x(cut), self._bottom)), fill=_FAINT, width=1)
        line = self._line
        if len(line) == 1:
            x, y = fine((self._x(line[0].seconds), self._y(line[0].mean)))[0]
            drawing.ellipse((x - 5, y - 5, x + 5, y + 5), fill=_LINE)
            return
        most, least = ([(self._x(s.seconds), self._y(v)) for s, v in pairs] for pairs in (
            [(s, s.most) for s in line], [(s, s.least) for s in reversed(line)]
        ))  # fmt: skip
        drawing.polygon(fine(*most, *least), fill=_BAND)
        drawing.line(fine(*((self._x(s.seconds), self._y(s.mean)) for s in line)), fill=_LINE, width=4, joint="curve")

    def words(self, drawing: "ImageDraw", font: Any) -> None:
        """Name, mean, and the axis."""
        mean = self._report.summary.statistics[self._measure.name].mean
        better = "higher" if self._measure.higher_is_better else "lower"
        drawing.text((_LEFT, self._top - 20), self._measure.heading, fill=_INK, font=font)
        said = f"mean {mean:.{self._measure.digits}f}, {better} is better"
        drawing.text((_WIDTH - _RIGHT, self._top - 20), said, fill=_FAINT, font=font, anchor="ra")
        if self._measure == self._report.worst_by:
            for x, rank in rank_places(self._report, self._x):
                drawing.text((x, self._top + 2), rank, fill=_RANK, font=font, anchor="ma")
        for tick, text in number_labels((self._low, self._high), 4):
            drawing.text((_LEFT - 8, self._y(tick)), text, fill=_FAINT, font=font, anchor="rm")


def _across(seconds: float, begin: float, end: float) -> float:
    return _LEFT + (seconds - begin) / (end - begin) * (_WIDTH - _LEFT - _RIGHT)


def _write_times(report: QualityReport, drawing: "ImageDraw", font: Any, top: int) -> None:
    begin, end = span(report)
    for time, text in time_labels((begin, end), 10):
        drawing.text((_across(time, begin, end), top), text, _FAINT, font, anchor="ma")


def span(report: QualityReport) -> tuple[float, float]:
    """First and last second of the timelines; never the same."""
    begin = report.summary.timeline[0].seconds
    return begin, max(report.summary.end, begin + 1e-3)


def draw_profile(report: QualityReport) -> Tensor:
    """The temporal profile, (H,W,3) uint8, time running down; the reference's stands to the right, as wide.

    Few rows are repeated, so that they can be seen.
    """
    width = max(profile.shape[1] for profile in report.profiles)
    shown = [_widened(profile, width) for profile in report.profiles]
    repeated = max(-(-_LEAST_HEIGHT // shown[0].shape[0]), 1)
    shown = [profile.repeat_interleave(repeated, dim=0) for profile in shown]
    return _beside(shown)


def _widened(rows: Tensor, width: int) -> Tensor:
    if rows.shape[1] == width:
        return rows
    wide = F.interpolate(rows.permute(2, 0, 1)[None].float(), size=(rows.shape[0], width), mode="nearest")
    return wide[0].permute(1, 2, 0).byte()


def _beside(images: list[Tensor]) -> Tensor:
    """Side by side with a grey gap; all of one height."""
    gap = torch.full((images[0].shape[0], _GAP, 3), 128, dtype=torch.uint8)
    parts = [part for image in images for part in (gap, image)][1:]
    return torch.cat(parts, dim=1)


def read_thumbnails(report: QualityReport) -> Iterator[Thumbnail]:
    """The worst frame of every worst moment, the worst one first; each is sought in the file."""
    size = None
    for worst in report.summary.worst:
        sources = [(report.source, worst.seconds)]
        if report.reference is not None:
            sources.append((report.reference, worst.reference_seconds))
        with suppress(EmptyVideoError):  # a damaged file may not give the same frames when it is sought in
            frames = [_frame(*where) for where in sources]
            if size is None:
                height, width = frames[-1].shape[-2:]
                size = (max(round(height * THUMBNAIL_WIDTH / width), 1), THUMBNAIL_WIDTH)
            yield Thumbnail(worst, _beside([_small(frame, size) for frame in frames]))


def _frame(source: Source, seconds: float) -> Tensor:
    part = replace(source, start=max(seconds - 1e-3, 0.0), duration=None)
    with VideoReader(part.path, part.start, deinterlace=part.deinterlace) as reader:
        return next(iter(reader)).image


def _small(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(3,H,W) -> (h,w,3) uint8."""
    shown = F.interpolate(image[None], size=size, mode="bicubic", antialias=True)[0].clamp(0, 1)
    return shown.mul(255).round().byte().permute(1, 2, 0).contiguous()


def _tensor(picture: "Image") -> Tensor:
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(picture.height, picture.width, 3)
