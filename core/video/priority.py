"""Keeping a process's threads at the priority they had."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Undo that an encoder makes threads real-time: those there were, the caller's among them, and its own.

    SVT-AV1 does so where it may, as root, which is how containers run; everything else on the machine then waits.
    Nothing happens where the system is not Linux.
    """
    before = _policies()
    yield
    for thread, policy in _policies().items():
        wanted = before.get(thread, os.SCHED_OTHER)
        if policy != wanted:
            os.sched_setscheduler(thread, wanted, os.sched_param(0))


def _policies() -> dict[int, int]:
    """The scheduling policy of each of this process's threads."""
    found: dict[int, int] = {}
    for task in _THREADS.iterdir() if _THREADS.is_dir() else ():
        try:
            found[int(task.name)] = os.sched_getscheduler(int(task.name))
        except ProcessLookupError:  # it has ended meanwhile
            continue
    return found
