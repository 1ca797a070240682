"""Threads that work ahead and behind: order, bounds, errors on either side, and no thread left over."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core import stages
from textovsr.core.stages import AbandonedError, Consumer, working_ahead

NAME = "textovsr-test"
LONG = 600.0
"""Seconds after which something that is waited for will not come any more."""


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name == NAME]


@given(count=st.integers(0, 50), depth=st.integers(1, 8))
def test_items_come_in_order(count: int, depth: int) -> None:
    with working_ahead(range(count), depth, NAME) as items:
        assert list(items) == list(range(count))


@given(count=st.integers(0, 50), depth=st.integers(1, 8))
def test_items_go_in_order(count: int, depth: int) -> None:
    with Consumer(list, depth, NAME) as consumer:
        for item in range(count):
            consumer.put(item)
    assert consumer.result == list(range(count))


def test_no_more_is_drawn_than_may_wait() -> None:
    drawn = 0

    def stream() -> Iterator[int]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    with working_ahead(stream(), 3, NAME) as items:
        for taken in range(1, 20):
            assert next(items) == taken
            time.sleep(0.001)
            assert drawn <= taken + 3 + 1


class Waited(threading.Condition):
    """Says when somebody begins to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.begun.set()
        return super().wait(timeout)


def test_no_more_is_accepted_than_may_wait() -> None:
    gate, accepted = threading.Event(), []

    def consume(items: Iterator[int]) -> None:
        gate.wait()
        list(items)

    consumer, changed = Consumer(consume, 2, NAME), Waited()
    consumer._queue._changed = changed

    def produce() -> None:
        with consumer:
            for item in range(5):
                consumer.put(item)
                accepted.append(item)

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        assert changed.begun.wait(LONG), "the queue took them all"
        assert accepted == [0, 1]
    finally:
        gate.set()
        producer.join()
    assert accepted == [0, 1, 2, 3, 4]


def test_an_error_ahead_comes_after_the_items_before_it() -> None:
    def stream() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"), working_ahead(stream(), 5, NAME) as items:
        seen.extend(iter(lambda: next(items), None))
    assert seen == [1, 2]


def test_leaving_early_closes_the_generator_in_its_own_thread() -> None:
    closed: list[str] = []

    def stream() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    with working_ahead(stream(), 2, NAME) as items:
        next(items)
    assert closed == [NAME]


def test_an_error_behind_reaches_put() -> None:
    def consume(items: Iterator[int]) -> None:
        next(items)
        raise OSError("disk full")

    def produce() -> None:
        with Consumer(consume, 1, NAME) as consumer:
            while True:
                consumer.put(0)

    with pytest.raises(OSError, match="disk full"):
        produce()


def test_an_error_behind_reaches_the_end_of_the_block() -> None:
    def consume(items: Iterator[int]) -> None:
        list(items)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Consumer(consume, 9, NAME) as consumer:
        consumer.put(0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_abandons_the_work(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[type[BaseException]] = []
    taken: list[int] = []
    gate, abandon = threading.Event(), stages._Queue.abandon

    def abandon_and_open(queue: stages._Queue[int]) -> None:
        abandon(queue)
        gate.set()

    monkeypatch.setattr(stages._Queue, "abandon", abandon_and_open)

    def consume(items: Iterator[int]) -> None:
        assert gate.wait(LONG), "nothing was abandoned"
        try:
            taken.extend(items)
        except AbandonedError as caught:
            met.append(type(caught))
            raise

    def fail(consumer: Consumer[int, None]) -> None:
        consumer.put(1)
        raise error

    with pytest.raises(error), Consumer(consume, 3, NAME) as consumer:
        fail(consumer)
    assert met == [AbandonedError]
    assert taken == []


def test_stages_compute_alone_and_leave_others_as_they_were() -> None:
    def threads(items: Iterator[int]) -> list[int]:
        return [torch.get_num_threads() for _ in items]

    def born_later() -> int:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        return found[0]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Consumer(threads, 2, NAME) as consumer, working_ahead(range(3), 2, NAME) as items:
            for item in items:
                consumer.put(item)
            assert (torch.get_num_threads(), born_later()) == (2, 2)
        assert consumer.result == [1, 1, 1]
        assert (torch.get_num_threads(), born_later()) == (2, 2)
    finally:
        torch.set_num_threads(before)
