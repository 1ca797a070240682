"""Numbers over time as a picture: light, anti-aliased, readable at half its size.

Of series with more values than the picture has columns, the mean of each column is drawn over the range that its
values span, so that no outlier is lost however long the video is.
"""

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import MissingDependencyError, SettingError
from .plot_ink import PALETTE, TIMES_LARGER, Ink
from .plot_parts import LEAST_SIZE, Field, Series, Timeline, time_span, value_span
from .plot_ticks import Labels, number_labels, time_labels, whole_labels

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

    Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

__all__ = ["LEAST_SIZE", "PALETTE", "Series", "Timeline", "draw_timeline", "timeline_png"]

_PAPER, _LETTERS, _TITLE = "#ffffff", "#4b5563", "#111827"
_LEFT, _RIGHT, _BOTTOM, _TOP = 62, 28, 50, 16
_TITLE_SIZE, _LETTER_SIZE, _LEGEND_ROW = 19, 14, 22
_SWATCH, _AFTER_SWATCH, _BETWEEN = 18, 7, 26
_NAME = 48  # letters of a name in the legend, at most
_PER_TIME, _PER_VALUE = 110, 44  # pixels that a label gets

_Entry = tuple[int, int, str, str]  # column, row, colour, text


def draw_timeline(timeline: Timeline) -> Tensor:
    """A timeline as a picture (1,H,W,3), RGB in [0,1].

    Raises:
        SettingError: there is no series, one has not as many times as values, or the picture is too small.
        MissingDependencyError: Pillow is not installed.
    """
    pixels = np.array(_draw(timeline), dtype=np.float32) / 255
    return torch.from_numpy(pixels)[None]  # (H,W,C) -> (1,H,W,C)


def timeline_png(timeline: Timeline) -> bytes:
    """The same picture as the content of a PNG file; raises what ``draw_timeline`` raises."""
    file = io.BytesIO()
    _draw(timeline).save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw(timeline: Timeline) -> "Image.Image":
    _check(timeline)
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package Pillow for plots, found none; run `pip install pillow`."
        ) from error
    font, large = ImageFont.load_default(_LETTER_SIZE), ImageFont.load_default(_TITLE_SIZE)
    legend = _legend(timeline, font)
    field = _field(timeline, legend)
    times = (time_labels if timeline.unit == "seconds" else whole_labels)(field.times, timeline.size[0] // _PER_TIME)
    values = number_labels(field.values, max(int(field.bottom - field.top) // _PER_VALUE, 2))
    width, height = timeline.size
    canvas = Image.new("RGB", (width * TIMES_LARGER, height * TIMES_LARGER), _PAPER)
    ink = Ink(ImageDraw.Draw(canvas), field)
    ink.everything(timeline, times, values)
    for x, y, color, _ in legend:
        ink.box((x, y + 8, x + _SWATCH, y + 12), color)
    picture = canvas.reduce(TIMES_LARGER)
    letters = ImageDraw.Draw(picture)
    letters.text((_LEFT, _TOP), timeline.title, fill=_TITLE, font=large)
    for x, y, _, text in legend:
        letters.text((x + _SWATCH + _AFTER_SWATCH, y + 10), text, fill=_LETTERS, font=font, anchor="lm")
    _write_axes(letters, font, field, (times, values, _axis_name(timeline)))
    return picture


def _check(timeline: Timeline) -> None:
    if not timeline.series:
        raise SettingError("Expected at least one series to draw, got none; give the plot some numbers.")
    for series in timeline.series:
        if len(series.times) != len(series.values):
            raise SettingError(
                f"Expected as many times as values of {series.name}, got {len(series.times)} and "
                f"{len(series.values)}; give one time for each value."
            )
    if timeline.size[0] < LEAST_SIZE[0] or timeline.size[1] < LEAST_SIZE[1]:
        raise SettingError(
            f"Expected a picture of at least {LEAST_SIZE[0]}x{LEAST_SIZE[1]} pixels, got "
            f"{timeline.size[0]}x{timeline.size[1]}; choose a larger one."
        )


def _field(timeline: Timeline, legend: list[_Entry]) -> Field:
    """The axes: their place below the legend, and what they show."""
    width, height = timeline.size
    top = legend[-1][1] + _LEGEND_ROW + 10
    spans = time_span(timeline.series), value_span(timeline.series, timeline.limits)
    return Field(_LEFT, min(top, height - 2 * _BOTTOM), width - _RIGHT, height - _BOTTOM, *spans)


def _legend(timeline: Timeline, font: "Font") -> list[_Entry]:
    """Where the names of the series go, with their means: in rows below the title."""
    x, y = _LEFT, _TOP + (_TITLE_SIZE + 10 if timeline.title else 0)
    entries: list[_Entry] = []
    for index, series in enumerate(timeline.series):
        text = _entry(series)
        width = _SWATCH + _AFTER_SWATCH + round(font.getlength(text)) + _BETWEEN
        if entries and x + width - _BETWEEN > timeline.size[0] - _RIGHT and x > _LEFT:
            x, y = _LEFT, y + _LEGEND_ROW
        entries.append((x, y, PALETTE[index % len(PALETTE)], text))
        x += width
    return entries


def _entry(series: Series) -> str:
    name = series.name if len(series.name) <= _NAME else series.name[: _NAME - 1].rstrip() + "..."
    mean = series.mean()
    return name if math.isnan(mean) else f"{name} (mean {mean:.4g})"


def _write_axes(draw: "ImageDraw.ImageDraw", font: "Font", field: Field, axes: tuple[Labels, Labels, str]) -> None:
    times, values, name = axes
    for time, text in times:
        draw.text((field.x(time), field.bottom + 9), text, fill=_LETTERS, font=font, anchor="mt")
    for value, text in values:
        draw.text((field.left - 9, field.y(value)), text, fill=_LETTERS, font=font, anchor="rm")
    draw.text(((field.left + field.right) / 2, field.bottom + 29), name, fill=_LETTERS, font=font, anchor="mt")


def _axis_name(timeline: Timeline) -> str:
    name = "time" if timeline.unit == "seconds" else "frame"
    return f"{name} (dashed: cuts)" if len(timeline.cuts) else name
