"""Rows, statistics, timelines, worst moments, profiles and axes: bounded, and nothing is lost."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.quality.axes import Stretch, rank_places, value_range
from textovsr.core.quality.measures import MEASURES
from textovsr.core.quality.profile import ROWS, WIDTH, Profile
from textovsr.core.quality.rows import Row, RowWriter, add_columns, read_rows
from textovsr.core.quality.summary import POINTS, Statistics, WorstRule, summarize

SHARPNESS = MEASURES["sharpness"]


def rows(values: list[float], shot_of: list[int] | None = None) -> Iterator[Row]:
    for number, value in enumerate(values):
        yield Row(number, number / 10, shot_of[number] if shot_of else 0, math.nan, {"sharpness": value})


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [Row(0, 0.0, 0, math.nan, {"a": 1.5}), Row(1, 1 / 3, 1, 0.25, {"b": math.inf, "a": -2e-7})]
    with RowWriter(tmp_path / "rows.csv", ["a", "b"]) as writer:
        for row in written:
            writer.write(row)
    first, second = read_rows(tmp_path / "rows.csv")
    assert first.values == {"a": 1.5}
    assert math.isnan(first.reference_seconds)
    assert (second.frame, second.seconds, second.shot, second.reference_seconds) == (1, 0.333333, 1, 0.25)
    assert second.values == {"a": -2e-7}
    (joined, _) = add_columns(read_rows(tmp_path / "rows.csv"), ["c"], [(7.0,), (8.0,)])
    assert joined.values == {"a": 1.5, "c": 7.0}


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_statistics_are_those_of_all_values(values: list[float]) -> None:
    statistics = Statistics()
    for value in values:
        statistics.add(value)
    expected = torch.tensor(values, dtype=torch.float64)
    assert statistics.mean == pytest.approx(float(expected.mean()), abs=1e-6)
    assert statistics.deviation == pytest.approx(float(expected.std(correction=0)), abs=1e-5)
    assert (statistics.least, statistics.most) == (min(values), max(values))


@pytest.mark.parametrize("count", [1, 2 * POINTS - 1, 2 * POINTS, 2 * POINTS + 1, 7 * POINTS])
def test_a_timeline_is_bounded_and_loses_nothing(count: int) -> None:
    values = [float((7 * i) % 101) for i in range(count)]
    summary = summarize(rows(values), [SHARPNESS], WorstRule(SHARPNESS, 3, 1.0, 0.1))
    points = [point.values["sharpness"] for point in summary.timeline]
    assert len(points) <= 2 * POINTS
    assert count < POINTS or len(points) >= POINTS
    assert sum(point.frames for point in points) == count
    assert sum(point.mean * point.frames for point in points) == pytest.approx(sum(values))
    assert max(point.most for point in points) == max(values)


def test_the_worst_moments_are_found_and_span_no_cut() -> None:
    values = [5.0] * 40
    values[12], values[27] = 1.0, 3.0
    shots = [0] * 25 + [1] * 15
    summary = summarize(rows(values, shots), [SHARPNESS], WorstRule(SHARPNESS, 2, 1.0, 0.1))
    first, second = summary.worst
    assert (first.start, first.duration, first.seconds) == pytest.approx((1.0, 1.0, 1.2))
    assert first.value == pytest.approx((9 * 5 + 1) / 10)
    assert (second.start, second.duration, second.seconds) == pytest.approx((2.5, 1.0, 2.7))
    assert summary.cuts == (2.5,)
    assert summary.shots == 2


def test_what_is_bad_may_also_be_high() -> None:
    flicker = [Row(i, i / 10, 0, math.nan, {"flicker": float(i == 3)} if i > 1 else {}) for i in range(6)]
    summary = summarize(flicker, [MEASURES["flicker"]], WorstRule(MEASURES["flicker"], 1, 0.2, 0.1))
    assert summary.worst[0].start == pytest.approx(0.2)
    assert summary.worst[0].seconds == pytest.approx(0.3)


def test_a_profile_is_bounded_and_keeps_real_lines() -> None:
    profile = Profile(0.5)
    for number in range(5 * ROWS):
        profile.add(torch.full((3, 3, 4), (number % 256) / 255))
    picture = profile.picture()
    assert profile.stride == 4
    assert picture.shape == (-(-5 * ROWS // 4), 4, 3)
    assert picture[:, 0, 0].tolist() == [number % 256 for number in range(0, 5 * ROWS, 4)]
    wide = Profile(1.0)
    wide.add(torch.rand(3, 2, 3000))
    assert wide.picture().shape == (1, WIDTH, 3)


def test_a_profile_is_one_piece_of_memory() -> None:
    """Small tensors kept between frames split the memory that these leave: see ``Profile``."""
    profile = Profile()
    places = set()
    for _ in range(2 * ROWS + 5):
        profile.add(torch.zeros(3, 2, 4))
        places.add(profile._lines.data_ptr())
    assert len(places) == 1


def test_an_axis_is_never_empty_and_makes_no_mountains_of_what_nobody_sees() -> None:
    assert value_range([Stretch(0.0, 3.0, 3.0, 3.0)], SHARPNESS) == pytest.approx((2.9, 3.1))
    assert value_range([Stretch(0.0, 3.0, 3.0, 3.01)], SHARPNESS) == pytest.approx((2.905, 3.105))
    assert value_range([Stretch(0.0, 0.0, 0.0, 0.0)], SHARPNESS) == pytest.approx((0.0, 0.2))
    assert value_range([Stretch(0.0, 1.0, 2.0, 3.0)], SHARPNESS) == pytest.approx((0.84, 3.16))


def test_ranks_of_the_worst_moments_do_not_overlap() -> None:
    found = [Row(n, float(n), 0, math.nan, {"sharpness": float(n)}) for n in range(10)]
    summary = summarize(found, [SHARPNESS], WorstRule(SHARPNESS, 3, 1.0, 1.0))
    report: Any = SimpleNamespace(summary=summary)
    assert rank_places(report, lambda seconds: 100 * seconds) == [(50, "1"), (150, "2"), (250, "3")]
    assert rank_places(report, lambda seconds: 10 * seconds) == [(5, "1"), (25, "3")]
