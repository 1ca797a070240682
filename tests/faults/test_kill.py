"""SIGKILL at random moments: the same job, run again, goes on where it was and ends with the same frames."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from textovsr.core.journal import read_lines
from textovsr.core.pipeline import job_folder
from textovsr.tests.helpers.frames import decoded, packets

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither fork nor SIGKILL")

SEGMENT = 8
KILLS = 24


class Forker:
    """A process that runs jobs in children, which can be killed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forking.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def run(self, source: Path, output: Path, codec: str, seconds: float, after: float | None = None) -> int:
        """Run a job, kill it after so many seconds, and return its exit code (negative: the signal)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"source": str(source), "output": str(output), "codec": codec, "seconds": str(seconds)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if after is not None:
            time.sleep(after)
            os.kill(child, signal.SIGKILL)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    running = Forker()
    with running.process:  # closes its pipes, which ends it
        yield running
    assert running.process.returncode == 0


def finished(output: Path) -> int:
    """Frames that the journal says are finished."""
    return sum(line["frames"] for line in read_lines(job_folder(output))[1:])


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".mp4"), ("ffv1", ".mkv")])
def test_a_killed_job_goes_on_and_ends_the_same(
    forker: Forker, source: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    whole = tmp_path / f"whole{suffix}"
    length = 9.0
    for _ in range(2):  # the first run warms up
        began = time.monotonic()
        assert forker.run(source, whole, codec, seconds=0.004) == 0
        length = min(length, time.monotonic() - began)
    random_moments = random.Random(codec)
    kills = after_a_segment = run = 0
    while kills < KILLS // 2:
        output = tmp_path / f"out{run}{suffix}"
        run, resumed = run + 1, 0
        while forker.run(source, output, codec, 0.004, random_moments.uniform(0, 0.7 * length)) == -signal.SIGKILL:
            kills += 1
            if output.exists():  # killed between the renaming and the end: the result must be whole already
                break
            assert finished(output) >= resumed, "a finished segment was lost"
            resumed = finished(output)
            after_a_segment += resumed > 0
        assert decoded(output) == decoded(whole)
        assert packets(output) == packets(source)
    assert after_a_segment >= KILLS // 6
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") and not path.is_dir()]


def test_a_kill_loses_at_most_one_segment(forker: Forker, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    for _ in range(3):
        before = finished(output)
        assert forker.run(source, output, "h264", 0.03, after=1.0) == -signal.SIGKILL
        folder = job_folder(output)
        begun = {int(path.stem.split("-")[1]) for path in folder.glob("part-*")}
        segments = len(read_lines(folder)) - 1
        assert begun <= {segments}
        assert finished(output) > before
    assert forker.run(source, output, "h264", 0.0) == 0
    assert json.loads(output.with_suffix(".json").read_text())["resumed"] >= 3 * SEGMENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.mp4"]
