"""Threads that work ahead and behind: a pipeline's stages, joined by bounded queues.

An exception in a stage appears in the other; leaving a stage's block, with or without an exception, ends its thread.
PyTorch computes in a stage's thread alone: stages must not fight over the cores with each other's helpers.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class AbandonedError(Exception):
    """Raised inside a consuming stage whose items will not come to an end, so that it drops its work."""


class _Queue(Generic[Item]):
    """A bounded queue between two threads, either of which can end it."""

    def __init__(self, depth: int) -> None:
        self._items: deque[Item] = deque()
        self._depth = depth
        self._changed = threading.Condition()
        self._finished = False
        self._error: BaseException | None = None
        self._left = False

    def put(self, item: Item) -> bool:
        """Wait for room and add an item; False if the receiver has left."""
        with self._changed:
            self._changed.wait_for(lambda: self._left or len(self._items) < self._depth)
            if not self._left:
                self._items.append(item)
                self._changed.notify_all()
            return not self._left

    def finish(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes, and why; what waits is still taken."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that nothing more comes and that what waits is not worth taking."""
        with self._changed:
            self._items.clear()
            self._finished, self._error = True, AbandonedError()
            self._changed.notify_all()

    def leave(self) -> None:
        """Say that nothing more is taken."""
        with self._changed:
            self._left = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._finished)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            del item  # a frame is not kept alive while the next one is waited for
        if self._error is not None:
            raise self._error


@contextmanager
def working_ahead(items: Iterable[Item], depth: int, name: str) -> Iterator[Iterator[Item]]:
    """Draw ``items`` in a thread of their own, at most ``depth`` ahead of the one who takes them.

    An exception of ``items`` is raised where the next item would have come. A generator is closed in its own thread.

    Args:
        items: what to draw.
        depth: how many may wait.
        name: of the thread, for debuggers.
    """
    queue: _Queue[Item] = _Queue(depth)

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not queue.put(item):
                    break
            if isinstance(items, Generator):
                items.close()
        except BaseException as caught:  # noqa: BLE001  (raised again by the one who takes the items)
            error = caught
        queue.finish(error)

    thread = _start(work, name)
    try:
        yield iter(queue)
    finally:
        queue.leave()
        thread.join()


class Consumer(Generic[Item, Result]):
    """Runs ``function`` over the items it is given, in a thread of its own; a context manager.

    ``put`` raises what ``function`` raised. Leaving the block waits for ``function`` to end and raises what it raised;
    after an exception in the block, ``function`` meets an ``AbandonedError`` instead of its next item.

    Args:
        function: takes all items, as an iterator; its value is ``result`` after the block.
        depth: how many items may wait.
        name: of the thread, for debuggers.
    """

    result: Result

    def __init__(self, function: Callable[[Iterator[Item]], Result], depth: int, name: str) -> None:
        self._queue: _Queue[Item] = _Queue(depth)
        self._function = function
        self._error: BaseException | None = None
        self._name = name
        self._thread: threading.Thread

    def put(self, item: Item) -> None:
        """Hand over an item, waiting for room."""
        if not self._queue.put(item):
            self._raise()

    def _work(self) -> None:
        try:
            self.result = self._function(iter(self._queue))
        except BaseException as caught:  # noqa: BLE001  (raised again by the one who hands over the items)
            self._error = caught
        self._queue.leave()

    def _raise(self) -> None:
        self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> "Consumer[Item, Result]":
        self._thread = _start(self._work, self._name)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._queue.finish()
            self._raise()
        else:
            self._queue.abandon()
            self._thread.join()


def _start(work: Callable[[], None], name: str) -> threading.Thread:
    """Start a thread in which PyTorch uses no further threads."""
    ready = threading.Event()

    def run() -> None:
        torch.get_num_threads()  # PyTorch sets a thread up when it is first asked, and would undo what was set before
        torch.set_num_threads(1)
        ready.set()
        work()

    threads = torch.get_num_threads()
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    ready.wait()
    torch.set_num_threads(threads)  # ours is as before; but what a thread sets, threads that are born later inherit
    return thread
