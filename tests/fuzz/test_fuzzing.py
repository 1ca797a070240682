"""Coverage-guided fuzzing of every target for ``TEXTOVSR_FUZZ_SECONDS`` each, 60 unless told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")

from .targets import TARGETS

pytestmark = pytest.mark.slow


@pytest.mark.timeout(0)
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(target: str, tmp_path: Path) -> None:
    seconds = os.environ.get("TEXTOVSR_FUZZ_SECONDS", "60")
    runner = Path(__file__).with_name("run.py")
    done = subprocess.run(
        [sys.executable, str(runner), target, "--seconds", seconds, "--found", str(tmp_path / "found")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = [path.read_bytes() for path in tmp_path.glob("failed-*")]
    assert done.returncode == 0, f"{failed}\n{done.stderr[-3000:]}"
    assert "DONE" in done.stderr
