"""Timelines: lines are where their numbers are, nothing is lost in long ones, labels are round."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from textovsr.core.errors import SettingError
from textovsr.core.quality.plot_ticks import clock, number_labels, time_labels, whole_labels
from textovsr.core.quality.plots import PALETTE, Series, Timeline, draw_timeline, timeline_png

LEFT, RIGHT, BOTTOM = 62, 1200 - 28, 420 - 50  # of the field in a picture of the usual size


def line(values: list[float], times: list[float] | None = None, name: str = "score") -> Series:
    """A series at 0, 1, 2, ... seconds."""
    return Series(name, times or [float(index) for index in range(len(values))], values)


def where(picture: Tensor, color: str, tolerance: float = 0.1) -> Tensor:
    """(H,W) bool: the pixels of a colour below title and legend."""
    wanted = torch.tensor([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    found = (picture[0] - wanted).abs().amax(-1) < tolerance
    found[:70] = False
    return found


def row(picture: Tensor, color: str, column: int) -> float:
    """The mean row of a colour about a column."""
    return float(where(picture, color)[:, column - 3 : column + 4].nonzero()[:, 0].float().mean())


def test_a_picture_is_as_large_and_as_light_as_promised() -> None:
    picture = draw_timeline(Timeline((line([0.2, 0.8]),), title="A title", size=(640, 300)))
    assert picture.shape == (1, 300, 640, 3)
    assert picture.dtype == torch.float32
    assert picture.min() >= 0
    assert picture.max() == 1
    assert picture.mean() > 0.9


def test_the_png_is_the_same_picture() -> None:
    timeline = Timeline((line([0.2, 0.8, 0.3]),), cuts=(1.0,))
    with Image.open(io.BytesIO(timeline_png(timeline))) as image:
        assert torch.equal(torch.from_numpy(np.array(image)) / 255, draw_timeline(timeline)[0])


def test_a_line_is_where_its_values_are() -> None:
    picture = draw_timeline(Timeline((line([0.0, 1.0]),), limits=(0, 1)))
    quarter = (RIGHT - LEFT) // 4
    low, middle, high = (row(picture, PALETTE[0], LEFT + times * quarter) for times in (1, 2, 3))
    assert BOTTOM - low == pytest.approx(middle - high, abs=3)
    assert BOTTOM - low == pytest.approx(low - middle, abs=3)
    assert high < (BOTTOM + 70) / 2


def test_edges_are_smooth() -> None:
    picture = draw_timeline(Timeline((line([0.0, 1.0]),), limits=(0, 1)))
    column = picture[0, :, (LEFT + RIGHT) // 2, 0]
    between = (column > 0.25) & (column < 0.85)
    assert between.any()


def test_a_value_that_is_not_finite_leaves_a_gap() -> None:
    values = [0.5] * 40 + [math.nan, math.inf] * 10 + [0.5] * 40
    picture = draw_timeline(Timeline((line(values),), limits=(0, 1)))
    drawn = where(picture, PALETTE[0]).any(0)[LEFT:RIGHT]
    share = (RIGHT - LEFT) / 99
    assert not drawn[round(41 * share) : round(58 * share)].any()
    assert drawn[: round(38 * share)].all()
    assert line(values).mean() == 0.5


def test_an_outlier_of_a_long_video_is_seen() -> None:
    values = [0.5 + 0.01 * (index % 2) for index in range(50_000)]
    values[30_000] = 0.0
    picture = draw_timeline(Timeline((line(values),), limits=(0, 1)))
    column = LEFT + round(30_000 / 50_000 * (RIGHT - LEFT))
    white = picture[0, :, column - 3 : column + 3].sum(-1).amin(-1) > 2.99
    beside = picture[0, :, column + 20 : column + 26].sum(-1).amin(-1) > 2.99
    assert not white[BOTTOM - 100 : BOTTOM - 60].all()
    assert beside[BOTTOM - 100 : BOTTOM - 60].sum() > white[BOTTOM - 100 : BOTTOM - 60].sum()


def test_every_series_has_its_colour_and_the_first_is_on_top() -> None:
    both = draw_timeline(Timeline((line([0.5, 0.5]), line([0.5, 0.5], name="same")), limits=(0, 1)))
    assert where(both, PALETTE[0]).any()
    assert not where(both, PALETTE[1]).any()
    apart = draw_timeline(Timeline((line([0.5, 0.5]), line([0.2, 0.2], name="other")), limits=(0, 1)))
    assert where(apart, PALETTE[1]).any()


def test_cuts_and_marks_are_at_their_times() -> None:
    plain = Timeline((line([0.5] * 11),), limits=(0, 1))
    bare = draw_timeline(plain)
    cut = draw_timeline(Timeline(plain.series, limits=(0, 1), cuts=(5.0, 99.0)))
    changed = (cut - bare).abs().amax(-1)[0][70:BOTTOM].amax(0).nonzero()[:, 0]
    assert (changed - (LEFT + RIGHT) / 2).abs().max() < 2
    marked = draw_timeline(Timeline(plain.series, limits=(0, 1), marks=((2.0, 4.0),)))
    yellow = where(marked, "#fef3c7", 0.02).any(0).nonzero()[:, 0]
    width = (RIGHT - LEFT) / 10
    assert yellow.min() == pytest.approx(LEFT + 2 * width, abs=2)
    assert yellow.max() == pytest.approx(LEFT + 4 * width, abs=2)


def test_where_cuts_crowd_the_numbers_stay_readable() -> None:
    series = (line([0.5] * 11),)
    cuts = tuple(index / 50 for index in range(1, 500))
    crowded, few = (draw_timeline(Timeline(series, limits=(0, 1), cuts=some)) for some in (cuts, cuts[:50]))
    below = slice(BOTTOM - 60, BOTTOM - 10)
    assert crowded[0, below].mean() > few[0, below].mean()


@pytest.mark.parametrize("values", [[], [0.5], [math.nan], [0.5, 0.5], [1e-9, 2e-9], [-5.0, 1e7]])
@pytest.mark.parametrize("unit", ["seconds", "frames"])
def test_any_numbers_can_be_drawn(values: list[float], unit: str) -> None:
    assert draw_timeline(Timeline((line(values),), unit=unit, size=(320, 200))).shape == (1, 200, 320, 3)  # type: ignore[arg-type]


def test_many_long_names_leave_room_for_the_numbers() -> None:
    series = tuple(line([0.1 * index] * 2, name="a rather long name " * 4) for index in range(9))
    picture = draw_timeline(Timeline(series, title="Title", limits=(0, 1), size=(600, 400)))
    assert where(picture, PALETTE[7])[300:].any() or where(picture, PALETTE[7])[200:].any()


@pytest.mark.parametrize(
    ("timeline", "words"),
    [
        (Timeline(()), "at least one series"),
        (Timeline((Series("score", [0.0], [0.5, 0.6]),)), "as many times as values of score, got 1 and 2"),
        (Timeline((line([0.5]),), size=(319, 400)), "at least 320x200 pixels, got 319x400"),
    ],
)
def test_what_cannot_be_drawn_is_refused(timeline: Timeline, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        draw_timeline(timeline)


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        ((0, 3), "0:00.0", "0:03.0"),
        ((0, 59), "0:00", "0:50"),
        ((0, 600), "0:00", "10:00"),
        ((0, 8000), "0:00", "2:00:00"),
        ((1e6, 1e7), "320:00:00", "2560:00:00"),
    ],
)
def test_times_are_labelled_in_round_steps(span: tuple[float, float], first: str, last: str) -> None:
    texts = [text for _, text in time_labels(span, 10)]
    assert (texts[0], texts[-1]) == (first, last)


def test_clocks() -> None:
    assert [clock(time) for time in (0, 61, 3599.6, 7322, -1)] == ["0:00", "1:01", "1:00:00", "2:02:02", "0:00"]
    assert clock(2.05, 1) == "0:02.0"
    assert clock(59.96, 1) == "1:00.0"
    assert clock(3723.4, 3) == "1:02:03.400"
    assert clock(59.9996, 3) == "1:00.000"


def test_labels_are_round() -> None:
    assert number_labels((0.0, 1.0), 4) == [(0.0, "0.0"), (0.5, "0.5"), (1.0, "1.0")]
    assert number_labels((97.2, 99.9), 4) == [(98.0, "98"), (99.0, "99")]
    assert [time for time, _ in time_labels((0, 3600), 10)] == [0, 600, 1200, 1800, 2400, 3000, 3600]


@settings(deadline=None)
@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), count=st.integers(2, 20))
def test_labels_lie_in_the_span_and_are_told_apart(low: float, width: float, count: int) -> None:
    span = (low, low + width)
    labels = number_labels(span, count)
    assert 1 <= len(labels) <= count + 1
    assert all(low - 1e-6 * width <= number <= low + width * (1 + 1e-6) for number, _ in labels)
    assert len({text for _, text in labels}) == len(labels)
    assert all("." not in text for _, text in whole_labels(span, count))
