"""Memory that runs out for real: a process with a limited address space goes on with smaller tiles."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")


def test_with_little_memory_tiles_shrink_and_with_far_too_little_it_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("starving.py")), "1:150", "1:120", "2:20"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 20)},  # what is freed is gone
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *little, hopeless = map(json.loads, done.stdout.splitlines())
    outcome = next(outcome for outcome in little if outcome["told"])  # the first that is too little for whole frames
    assert "the work goes on with windows of 2 frames, 1 ahead, tiles of 160 pixels" in outcome["told"][0]
    assert outcome["frames"] == 3
    assert outcome["difference"] < 1e-5
    assert "Expected windows of 1 frames" in hopeless["error"]
    assert "close other programs" in hopeless["error"]
