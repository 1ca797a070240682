"""Windows: every frame once, the right neighbours, bounded memory."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.errors import SettingError
from textovsr.core.windows import WindowPlan, slide

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
