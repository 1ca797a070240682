"""Windows: every frame once, the right neighbours, bounded memory."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.config import LEAST_TILE
from textovsr.core.errors import SettingError
from textovsr.core.windows import WindowPlan, WindowStream, slide

FRAMES, LENGTHS, LOOK_AHEADS = st.integers(0, 200), st.integers(1, 40), st.integers(0, 40)


@given(frames=FRAMES, length=LENGTHS, look_ahead=LOOK_AHEADS)
def test_every_frame_is_kept_once_and_in_order(frames: int, length: int, look_ahead: int) -> None:
    windows = slide(range(frames), WindowPlan(length, look_ahead))
    assert [t for window in windows for t in window.items[: window.kept]] == list(range(frames))


@given(frames=FRAMES, length=LENGTHS, look_ahead=LOOK_AHEADS)
def test_a_window_looks_as_far_ahead_as_there_are_frames(frames: int, length: int, look_ahead: int) -> None:
    for window in slide(range(frames), WindowPlan(length, look_ahead)):
        stop = min(window.start + length + look_ahead, frames)
        assert window.items == tuple(range(window.start, stop))
        assert window.kept == min(length, frames - window.start)


@given(frames=FRAMES, length=LENGTHS, look_ahead=LOOK_AHEADS)
def test_only_the_last_window_says_so(frames: int, length: int, look_ahead: int) -> None:
    last = [window.last for window in slide(range(frames), WindowPlan(length, look_ahead))]
    assert last == [False] * (len(last) - 1) + [True] * (frames > 0)


@given(frames=FRAMES, length=LENGTHS, look_ahead=LOOK_AHEADS)
def test_no_more_is_drawn_ahead_than_a_window_needs(frames: int, length: int, look_ahead: int) -> None:
    drawn = 0

    def stream() -> Iterator[int]:
        nonlocal drawn
        while drawn < frames:
            drawn += 1
            yield drawn

    for window in slide(stream(), WindowPlan(length, look_ahead)):
        assert drawn <= window.start + length + look_ahead + 1


@pytest.mark.parametrize(("length", "look_ahead"), [(0, 0), (-1, 4), (3, -1)])
def test_impossible_plans_are_refused(length: int, look_ahead: int) -> None:
    with pytest.raises(SettingError, match=rf"got {length} and {look_ahead}; choose larger ones"):
        WindowPlan(length, look_ahead)


@given(frames=FRAMES, plans=st.lists(st.tuples(LENGTHS, LOOK_AHEADS), min_size=1, max_size=9))
def test_the_plan_may_change_at_any_window(frames: int, plans: list[tuple[int, int]]) -> None:
    stream, kept, turn = WindowStream(range(frames), start=7), [], 0
    while (window := stream.look(WindowPlan(*plans[turn % len(plans)]))) is not None:
        assert window.start == 7 + len(kept)
        kept += window.items[: window.kept]
        stream.drop(window.kept)
        turn += 1
    assert kept == list(range(frames))


def test_looking_again_moves_nothing() -> None:
    stream = WindowStream(range(9))
    assert stream.look(WindowPlan(4, 2)) == stream.look(WindowPlan(4, 2))
    smaller = stream.look(WindowPlan(2, 1))
    assert smaller is not None
    assert (smaller.items, smaller.kept) == ((0, 1, 2), 2)


@given(
    length=LENGTHS,
    look_ahead=LOOK_AHEADS,
    tiles=st.lists(st.integers(0, 600), max_size=3),
    at_once=st.integers(1, 8),
    height=st.integers(16, 600),
)
def test_a_plan_shrinks_to_the_smallest_in_few_steps(
    length: int, look_ahead: int, tiles: list[int], at_once: int, height: int
) -> None:
    plan, steps = WindowPlan(length, look_ahead, tuple(tiles), (at_once,) * len(tiles)), 0
    while (smaller := plan.smaller(height, 500)) is not None:
        assert sum(side or 600 for side in smaller.tiles) < sum(side or 600 for side in plan.tiles) or (
            smaller.tiles == plan.tiles
            and (smaller.batches, smaller.length, smaller.look_ahead) < (plan.batches, plan.length, plan.look_ahead)
        )
        plan, steps = smaller, steps + 1
    assert plan.length == 1
    assert plan.look_ahead <= 1
    assert all(count == 1 for count in plan.batches)
    assert steps <= 23


def test_batches_shrink_before_tiles() -> None:
    plan = WindowPlan(8, 4, (0, 64), (1, 5)).smaller(180, 320)
    assert plan == WindowPlan(8, 4, (0, 64), (1, 2))
    assert str(plan) == "windows of 8 frames, 4 ahead, tiles of 64 pixels, 1 and 2 at once"


def test_tiles_shrink_before_the_window() -> None:
    plan = WindowPlan(8, 4, (0, 64)).smaller(180, 320)
    assert plan == WindowPlan(8, 4, (160, 32))
    smallest = WindowPlan(8, 4, (LEAST_TILE, 10)).smaller(180, 320)
    assert smallest == WindowPlan(4, 4, (LEAST_TILE, 10))
