"""Memory that runs out for real: a process with a limited address space goes on with smaller tiles."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")


def starve(megabytes: int) -> "subprocess.CompletedProcess[str]":
    """Restore a clip with so much more than the process has at the start."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("starving.py")), str(megabytes)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_with_little_memory_tiles_shrink_and_the_picture_stays() -> None:
    for megabytes in (200, 170, 140):  # the first that is too little for whole frames
        done = starve(megabytes)
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        if outcome["told"]:
            break
    assert "the work goes on with windows of 2 frames, 1 ahead, tiles of 160 pixels" in outcome["told"][0]
    assert outcome["frames"] == 3
    assert outcome["difference"] < 1e-5


def test_with_far_too_little_memory_it_is_said() -> None:
    done = starve(60)
    assert done.returncode == 1
    assert "OutOfMemoryError: Expected windows of 1 frames" in done.stderr
    assert "close other programs" in done.stderr
