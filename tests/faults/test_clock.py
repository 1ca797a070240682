"""Clocks that jump while a job is at work: a preloaded library sets the process's own."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textovsr.core.job import Source
from textovsr.core.pipeline import restore_video
from textovsr.tests.faults.conftest import JOB
from textovsr.tests.faults.forker import LONG, finished, until
from textovsr.tests.helpers.frames import decoded
from textovsr.tests.helpers.restorers import Trail
from textovsr.tests.helpers.threads import one_thread as one_thread

YEAR, HOUR = 365 * 86400, 3600


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``clock.c``, compiled; without a C compiler or off Linux the tests are skipped."""
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("needs Linux and gcc")
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


def begin(
    library: Path, source: Path, output: Path, steps: list[tuple[int, int, int]], wait_at: int = 0
) -> "subprocess.Popen[str]":
    """Start ``jumping.py``; its clocks begin right, and after ``wait_at`` frames it waits."""
    offsets = output.parent.parent / "offsets"
    offsets.write_bytes(struct.pack("ll", 0, 0))
    jumping = Path(__file__).with_name("jumping.py")
    return subprocess.Popen(
        [sys.executable, *map(str, (jumping, source, output, offsets)), json.dumps(steps), str(wait_at)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "LD_PRELOAD": str(library), "CLOCK_OFFSETS": str(offsets)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(running: "subprocess.Popen[str]") -> dict[str, Any]:
    output, errors = running.communicate(timeout=LONG)
    assert running.returncode == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "out.mp4"


def test_clocks_that_jump_change_nothing(library: Path, source: Path, output: Path, expected: object) -> None:
    """The time of day goes to and fro by years, as without a battery; the other clock on, as after a long sleep."""
    steps = [(10, -30 * YEAR, 0), (30, YEAR, 2 * HOUR), (50, -HOUR, 5 * HOUR), (70, 0, 100 * HOUR)]
    found = outcome(begin(library, source, output, steps))
    days = found["days"]
    assert days[12] < days[0] - 29 * YEAR, "the clock was not set"
    assert days[32] > days[0]
    assert found["frames"] == 90
    assert found["seconds"] > 99 * HOUR, "the clock was not set"
    assert all(seconds >= 0 and fps >= 0 and left >= 0 for seconds, fps, left in found["told"])
    assert decoded(output) == expected
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4"]


def test_a_clock_that_goes_back_hangs_nothing(library: Path, source: Path, output: Path, expected: object) -> None:
    """No system does that to its monotonic clock, but a virtual machine that is restored may."""
    found = outcome(begin(library, source, output, [(20, 0, -10 * HOUR), (60, 0, 10)]))
    assert found["frames"] == 90
    assert decoded(output) == expected


def test_jobs_and_locks_know_no_clock(library: Path, source: Path, output: Path, expected: object) -> None:
    """A run that is killed years ahead of its time is gone on with in the present."""
    running = begin(library, source, output, [(1, 30 * YEAR, HOUR)], wait_at=60)
    until(lambda: finished(output) > 16 or running.poll() is not None)
    running.send_signal(signal.SIGKILL)
    _, errors = running.communicate()
    assert running.returncode == -signal.SIGKILL, errors
    kept = finished(output)
    done = restore_video(Source(source), Trail(), output, JOB, lambda _: None)
    assert done.resumed == kept > 0
    assert decoded(output) == expected
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4"]
