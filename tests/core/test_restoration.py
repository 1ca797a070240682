"""Shots and windows: no window crosses a cut, work goes on anywhere it paused, and with less memory."""

import logging
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import OutOfMemoryError
from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorer import PromptedFrame
from textovsr.core.tiles import Check
from textovsr.core.windows import Window, WindowPlan
from textovsr.tests.helpers.restorers import Enlarge, EnlargedShot

CUTS = st.sets(st.integers(1, 39), max_size=6)


def frames(count: int, cuts: set[int], first: int = 0) -> list[ShotFrame]:
    """Frames whose value is their number, from ``first`` on."""
    return [
        ShotFrame(torch.full((3, 40, 64), float(i)), shot=sum(cut <= i for cut in cuts), pts=i) for i in range(count)
    ][first:]


def run(restorer: Enlarge, items: list[ShotFrame], begin: Pause | None = None) -> list[Result | Pause]:
    restoration = Restoration(restorer, restorer.plan(40, 64), lambda: None, logging.getLogger().warning)
    return list(restoration.run(items, begin))


def numbers(items: list[Result | Pause]) -> list[int]:
    found = [item for item in items if isinstance(item, Result)]
    assert all(int(item.image[0, 0, 0]) == item.frame.pts for item in found)
    return [item.frame.pts for item in found]


@given(count=st.integers(0, 40), length=st.integers(1, 9), look_ahead=st.integers(0, 9), cuts=CUTS)
def test_every_frame_comes_out_once_and_no_window_crosses_a_cut(
    count: int, length: int, look_ahead: int, cuts: set[int]
) -> None:
    class Watching(Enlarge):
        pass

    class WatchedShot(EnlargedShot):
        def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
            shots = {sum(cut <= int(item.image[0, 0, 0]) for cut in cuts) for item in window.items}
            assert len(shots) == 1
            return super().restore(window, check)

    restorer = Watching(length, look_ahead)
    restorer.open_shot = lambda height, width, plan: WatchedShot(restorer)  # type: ignore[method-assign]
    items = run(restorer, frames(count, cuts))
    assert numbers(items) == list(range(count))
    assert not items or isinstance(items[-1], Pause)


@given(
    count=st.integers(1, 40),
    length=st.integers(1, 9),
    look_ahead=st.integers(0, 9),
    cuts=CUTS,
    stop=st.integers(0, 99),
)
def test_work_goes_on_from_any_pause(count: int, length: int, look_ahead: int, cuts: set[int], stop: int) -> None:
    items = run(Enlarge(length, look_ahead), frames(count, cuts))
    pauses = [index for index, item in enumerate(items) if isinstance(item, Pause)]
    index = pauses[stop % len(pauses)]
    done = len(numbers(items[:index]))
    pause = items[index]
    assert isinstance(pause, Pause)
    again = run(Enlarge(length, look_ahead), frames(count, cuts, done), pause)
    assert numbers(again) == list(range(done, count))
    rest = items[index + 1 :]
    assert [i.position for i in again if isinstance(i, Pause)] == [i.position for i in rest if isinstance(i, Pause)]


def test_a_pause_counts_shots_and_frames() -> None:
    pauses = [item.position for item in run(Enlarge(2, 1), frames(5, {3})) if isinstance(item, Pause)]
    assert [(p.shots, p.in_shot) for p in pauses] == [(1, 2), (1, 0), (2, 0)]


class Greedy(Enlarge):
    """Runs out of memory while its tile or window is larger than these, after ``some`` frames of a window."""

    def __init__(self, tile: int, length: int, some: int, error: Exception) -> None:
        super().__init__(length=8, look_ahead=3)
        self.tile, self.length, self.some, self.error = tile, length, some, error
        self.plans: list[WindowPlan] = []

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> EnlargedShot:
        self.plans.append(plan)
        return GreedyShot(self, plan)


class GreedyShot(EnlargedShot):
    def __init__(self, restorer: Greedy, plan: WindowPlan) -> None:
        super().__init__(restorer)
        self.greedy, self.plan = restorer, plan

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        greedy = self.greedy
        too_much = (self.plan.tiles[0] or 99) > greedy.tile or window.kept > greedy.length
        for index, image in enumerate(super().restore(window, check)):
            if too_much and index == min(greedy.some, window.kept - 1):
                raise greedy.error
            yield image


@pytest.mark.parametrize("some", [0, 3, 7])
@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_when_memory_runs_out_tiles_then_windows_are_halved(
    some: int, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    restorer = Greedy(20, 2, some, error)
    assert numbers(run(restorer, frames(21, {10}))) == list(range(21))
    assert restorer.plans[0] == WindowPlan(8, 3, (0,))
    assert restorer.plans[-1].tiles[0] == 16
    assert restorer.plans[-1].length == 2
    assert "Memory ran out" in caplog.text
    assert "windows of 2 frames" in caplog.text


def test_a_smaller_plan_serves_the_next_shot_too() -> None:
    restorer = Greedy(20, 8, 0, MemoryError())
    run(restorer, frames(21, {10}))
    assert restorer.plans[-1].tiles[0] == 16
    assert restorer.plans[-2].tiles[0] == 16


def test_if_nothing_is_small_enough_it_is_said() -> None:
    with pytest.raises(OutOfMemoryError, match=r"windows of 1 frames.*to fit the memory"):
        run(Greedy(1, 0, 0, MemoryError()), frames(9, set()))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        run(Greedy(1, 0, 0, RuntimeError("size mismatch")), frames(9, set()))
