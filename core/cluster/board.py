"""The pieces that are to be done, being done and done, shared by the threads that mind the workers."""

import threading
from collections import defaultdict, deque

from ..errors import ClusterError, TextOVSRError
from .config import ATTEMPTS
from .survey import Task


class Board:
    """Hands out pieces, the first ones first; a piece that failed goes to another worker if there is one.

    Every method may be called by any thread.
    """

    def __init__(self) -> None:
        self.notes: deque[str] = deque()
        self._changed = threading.Condition()
        self._tasks: list[Task] = []
        self._open = 0
        self._complete = False
        self._closed = False
        self._failures: dict[int, list[str]] = defaultdict(list)
        self._workers: set[str] = set()
        self._error: BaseException | None = None

    def add(self, task: Task) -> None:
        """A piece is to be done."""
        with self._changed:
            self._open += 1
            self._push(task)

    def complete(self) -> None:
        """No further pieces will be added."""
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def enter(self, worker: str) -> None:
        """A worker is ready."""
        with self._changed:
            self._workers.add(worker)

    def leave(self, worker: str) -> None:
        """A worker is gone."""
        with self._changed:
            self._workers.discard(worker)
            self._changed.notify_all()

    def take(self, worker: str, wait: bool = True) -> Task | None:
        """The next piece for a worker; None if there is none now, or, having waited, if there will be none."""
        with self._changed:
            while not self.over:
                fitting = [task for task in self._tasks if self._fits(task, worker)]
                if fitting:
                    first = min(fitting, key=lambda task: (self._has_failed(task, worker), task.piece.begin))
                    self._tasks = [task for task in self._tasks if task is not first]
                    return first
                if not wait:
                    break
                self._changed.wait()
            return None

    def done(self) -> None:
        """A piece is done."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def failed(self, task: Task, worker: str, error: BaseException) -> None:
        """A piece was not done: it is tried again, or the job ends with the error."""
        with self._changed:
            failures = self._failures[task.piece.begin]
            failures.append(worker)
            self._push(task)
        if len(failures) < ATTEMPTS:
            return
        if isinstance(error, TextOVSRError):
            self.fail(error)
            return
        self.fail(
            ClusterError(
                f"Expected a worker to restore {task.piece}, but {len(failures)} workers failed at it, the last with: "
                f"{first_line(error)}; look into Ray's logs there. What is finished is kept."
            )
        )

    def fail(self, error: BaseException) -> None:
        """The job cannot go on."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def close(self) -> None:
        """Whatever is left is not to be done any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def watch(self, seconds: float) -> bool:
        """Wait until all is done, or for some seconds; whether all is.

        Raises:
            BaseException: what the job ended with.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.over, seconds)
            if self._error is not None:
                raise self._error
            return self.over

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do, or no sense in it."""
        return self._closed or self._error is not None or (self._complete and not self._open)

    def _push(self, task: Task) -> None:
        self._tasks.append(task)
        self._changed.notify_all()

    def _has_failed(self, task: Task, worker: str) -> bool:
        return worker in self._failures.get(task.piece.begin, [])

    def _fits(self, task: Task, worker: str) -> bool:
        """A worker tries again only what no other can try, and after all else, which may be yet to come."""
        others = self._workers - set(self._failures.get(task.piece.begin, []))
        return not self._has_failed(task, worker) or (self._complete and not others)


def first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
