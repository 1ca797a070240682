"""What counts as flat, on made-up samples."""

import math
import random
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from textovsr.tests.soak.watch import Sample, Watch, growth, not_flat, table

STILL = Sample(
    seconds=0.0, done=0, rss=600_000_000, fds=14, threads=7, children=0, files=5, bytes=1_400_000, journal=0, segments=0
)
BOUNDS = {"rss": 30_000_000.0, "fds": 3.0, "threads": 2.0, "files": 2.0}


def made(count: int, **values: object) -> list[Sample]:
    """Samples whose attributes are functions of their number."""
    return [
        replace(STILL, seconds=5.0 * i, **{name: value(i) for name, value in values.items()})  # type: ignore[operator]
        for i in range(count)
    ]


def test_noise_and_a_warm_up_are_flat() -> None:
    noise = random.Random(0)
    warm = made(200, rss=lambda i: 600_000_000 + min(i, 40) * 10_000_000 + noise.randrange(8_000_000))
    assert not_flat(warm, BOUNDS) == []
    assert not_flat(made(200, fds=lambda i: 14 + i % 3), BOUNDS) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rss", {"rss": lambda i: 600_000_000 + 400_000 * i}),
        ("rss", {"rss": lambda i: 600_000_000 + (90_000_000 if i > 150 else 0)}),
        ("fds", {"fds": lambda i: 14 + i // 20}),
        ("threads", {"threads": lambda i: 7 + i // 30}),
        ("files", {"files": lambda i: 5 + i // 30}),
    ],
)
def test_what_grows_is_named(name: str, values: dict[str, object]) -> None:
    (said,) = not_flat(made(200, **values), BOUNDS)
    assert said.startswith(f"{name} grew by")


def test_the_growth_of_a_line_is_its_rise() -> None:
    assert math.isclose(growth([3.0 + 2.0 * i for i in range(11)]), 20.0)
    assert growth([5.0, 1.0, 5.0]) == 0.0


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(AssertionError, match="say nothing"):
        not_flat(made(11), BOUNDS)


def test_a_process_and_its_folders_are_sampled(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    for name in ("segment-00000.mp4", "part-00001.mp4", "journal.jsonl", "state-00000.safetensors", "lock"):
        (tmp_path / "job" / name).write_bytes(b"1234")
    watch = Watch(psutil.Process().pid, [tmp_path, tmp_path / "missing"], lambda: 8, every=0.01)
    with watch.watching():
        end = time.monotonic() + 600
        while len(watch.samples) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
    last = watch.samples[-1]
    assert (last.done, last.files, last.bytes, last.journal, last.segments) == (8, 3, 8, 4, 2)
    assert last.rss > 10_000_000
    assert last.threads >= 1
    assert len(table(watch.samples, 2)) == 2
