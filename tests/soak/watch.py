"""A server watched from outside: memory, files, threads and folders every few seconds, and whether they stay flat."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

MEGABYTE = 1_000_000

RESULT = ("segment-", "part-")
"""What the names of a job's finished segments, and of the one at work, begin with."""


@dataclass(frozen=True)
class Sample:
    """What a server held at one moment.

    Attributes:
        seconds: since the watch began.
        done: units of work that were done: frames, or runs.
        rss: bytes of main memory, of the process and its children.
        fds: open file descriptors.
        threads: of the process.
        children: processes it has started.
        files: in the folders watched, without a job's segments.
        bytes: in those, without the journal.
        journal: bytes of journals.
        segments: of jobs.
    """

    seconds: float
    done: int
    rss: int
    fds: int
    threads: int
    children: int
    files: int
    bytes: int
    journal: int
    segments: int


class Watch:
    """Samples a process and its folders until it is left.

    Args:
        pid: of the server.
        folders: whose files are counted.
        done: how much work is done by now.
        every: seconds between two samples.
    """

    def __init__(self, pid: int, folders: Sequence[Path], done: Callable[[], int], every: float = 2.0) -> None:
        self.samples: list[Sample] = []
        self._process = psutil.Process(pid)
        self._folders, self._done, self._every = tuple(folders), done, every
        self._began = time.monotonic()

    def take(self) -> Sample:
        """Take a sample now."""
        process, seconds = self._process, time.monotonic() - self._began
        children = process.children(recursive=True)
        rss = process.memory_info().rss + sum(_rss(child) for child in children)
        held = (rss, process.num_fds(), process.num_threads(), len(children))
        sample = Sample(seconds, self._done(), *held, *_count(self._folders))
        self.samples.append(sample)
        return sample

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Take samples in a thread for as long as the block lasts, and one at its end."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(self._every):
                self.take()

        thread = threading.Thread(target=work, name="soak-watch", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _count(folders: Sequence[Path]) -> tuple[int, int, int, int]:
    files = size = journal = segments = 0
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                length = path.stat().st_size if path.is_file() else None
            except FileNotFoundError:
                continue
            if length is None:
                continue
            if path.name.startswith(RESULT):
                segments += 1
                continue
            files += 1
            if path.name.startswith("journal.jsonl"):
                journal += length
            else:
                size += length
    return files, size, journal, segments


def growth(values: Sequence[float]) -> float:
    """How much a line fitted to values that were taken at even steps rises over all of them."""
    count = len(values)
    middle, mean = (count - 1) / 2, sum(values) / count
    spread = sum((i - middle) ** 2 for i in range(count))
    slope = sum((i - middle) * (value - mean) for i, value in enumerate(values)) / spread
    return slope * (count - 1)


def not_flat(samples: Sequence[Sample], bounds: dict[str, float]) -> list[str]:
    """What grew over the second half of the samples, as sentences; none if all stayed flat.

    A line is fitted to the second half and may rise by the bound; and its highest value may be above the highest of the
    second quarter, when everything has been loaded and used once, by no more than that.

    Args:
        samples: twelve or more.
        bounds: by the sample's attribute, what it may grow by.
    """
    assert len(samples) >= 12, f"{len(samples)} samples say nothing"
    quarter, half = len(samples) // 4, len(samples) // 2
    found = []
    for name, bound in bounds.items():
        values = [float(getattr(sample, name)) for sample in samples]
        rise, above = growth(values[half:]), max(values[half:]) - max(values[quarter:half])
        if rise > bound or above > bound:
            found.append(
                f"{name} grew by {rise:.6g} over the second half ({above:.6g} above the second quarter), {bound:g} is "
                f"the bound: {', '.join(f'{value:.6g}' for value in values[:: max(len(values) // 12, 1)])}"
            )
    return found


def table(samples: Sequence[Sample], rows: int = 13) -> list[list[str]]:
    """Some of the samples, evenly spread, as cells: minute, done, MB, files open, threads, temporary, journal."""
    picked = sorted({round(i * (len(samples) - 1) / max(rows - 1, 1)) for i in range(rows)})
    return [
        [
            f"{sample.seconds / 60:.1f}",
            str(sample.done),
            f"{sample.rss / MEGABYTE:.0f}",
            str(sample.fds),
            str(sample.threads),
            f"{sample.files} files, {sample.bytes / 1000:.0f} kB",
            f"{sample.journal / 1000:.0f} kB, {sample.segments} segments",
        ]
        for sample in (samples[i] for i in picked)
    ]


HEADER = ["minute", "done", "RSS, MB", "files open", "threads", "temporary", "journal"]
