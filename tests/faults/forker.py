"""Running jobs in processes that may be killed at a time, or before a step on the disk."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from textovsr.core.journal import read_lines
from textovsr.core.pipeline import job_folder

LONG = 600.0
"""Seconds after which something that is waited for will not come any more."""

KILLED = -9
"""The exit code of what SIGKILL ended."""


@dataclass(frozen=True)
class Order:
    """A job; ``seconds`` are those of every frame's network, ``wait_at`` the frame of its run (0: none) after which it
    waits to be killed, ``die_at`` the step on the disk (0: none) before which it sends itself ``signal``; ``task`` is
    ``restore`` or ``save``."""

    source: Path
    output: Path
    codec: str = "h264"
    seconds: float = 0.0
    wait_at: int = 0
    die_at: int = 0
    signal: str = "SIGKILL"
    task: str = "restore"


class Forker:
    """A process that runs jobs in children; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._told = folder / "told.json"

    def __enter__(self) -> "Forker":
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forking.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:  # closes its pipes, which ends it
            pass
        assert self.process.returncode == 0

    def run(self, order: Order, meanwhile: Callable[[psutil.Process], None] = lambda _: None) -> int:
        """Run a job, do ``meanwhile`` to it, wait for its end, and return its exit code (negative: the signal)."""
        values = {key: str(value) for key, value in vars(order).items()}
        job = psutil.Process(int(self._ask(json.dumps({**values, "told": str(self._told)}))))
        try:
            meanwhile(job)
        except BaseException:
            job.kill()  # it may wait for that
            raise
        finally:
            code = int(self._ask(""))
        assert not psutil.Process(self.process.pid).children(recursive=True), "an orphan"
        return code

    def whole(self, order: Order) -> dict[str, Any]:
        """Run a job to its end, and return what it told."""
        assert self.run(order) == 0
        told: dict[str, Any] = json.loads(self._told.read_text())
        return told

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


def named_at(steps: list[str]) -> int:
    """The step that gives the result its name, counted from 1."""
    return next(number for number, step in enumerate(steps, 1) if step.startswith("os.rename") and ".part" in step)


def finished(output: Path) -> int:
    """Frames that a job's journal says are finished."""
    return sum(line["frames"] for line in read_lines(job_folder(output))[1:])


def until(condition: Callable[[], bool]) -> None:
    """Wait for something; fails after a long time."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def content(path: Path) -> dict[str, bytes]:
    """A file's bytes, or those of all files of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name if path.is_dir() else "": file.read_bytes() for file in files}


@contextmanager
def first_sight(path: Path) -> Iterator[list[dict[str, bytes]]]:
    """Look for ``path`` all the time; what it holds as soon as it is there is put in the list."""
    seen: list[dict[str, bytes]] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            if path.exists():
                seen.append(content(path))
                return
            time.sleep(0.0005)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
