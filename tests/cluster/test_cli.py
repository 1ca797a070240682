"""``textovsr upscale --cluster``, as a person meets it."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from textovsr import cli
from textovsr.tests.faults.forker import finished
from textovsr.tests.helpers.cli import command, environ, interruptible
from textovsr.tests.helpers.cluster import left_in, running
from textovsr.tests.helpers.frames import decoded
from textovsr.tests.helpers.networks import save_tiny

pytest.importorskip("ray")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="ovt-", dir="/tmp") as name:
        yield Path(name)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_interrupted_on_all_processors_it_goes_on_alone(phone_clip: Path, tmp_path: Path, short: Path) -> None:
    """Ctrl-C ends Ray and all that it started, leaves no folder behind, and what is finished is used without it."""
    out, weights = tmp_path / "out.mp4", save_tiny(tmp_path / "tiny.safetensors")
    options = ("upscale", phone_clip, out, "--weights", weights, "--segment", 4, "--window", 4, "--json")
    shared = (*options, "--cluster", "local", "--workers", 1, "--worker-cpus", 1, "--piece", 8)
    environment = {**environ(), "HOME": str(tmp_path), "TMPDIR": str(short)}
    del environment["RAY_AUTH_MODE"]
    with interruptible(*shared, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as process:
        family = []
        while process.poll() is None and finished(out) < 8:
            family = psutil.Process(process.pid).children(recursive=True)
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == cli.INTERRUPTED, told
    assert "the same command goes on from there" in told
    assert family
    assert not running([member.pid for member in family])
    assert not left_in(short)
    assert not (tmp_path / ".ray").exists()
    alone = subprocess.run(command(*options), cwd=tmp_path, env=environ(), capture_output=True, text=True)
    assert alone.returncode == 0, alone.stderr
    assert json.loads(alone.stdout)["resumed"] >= 8
    assert len(decoded(out)) == 41


def test_options_of_a_cluster_need_one(phone_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["upscale", str(phone_clip), str(tmp_path / "out.mp4"), "--workers", "2"]) == 1
    assert "Expected --cluster ADDRESS with the option for its workers" in capsys.readouterr().err


def test_nobody_at_an_address(phone_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["upscale", str(phone_clip), str(tmp_path / "out.mp4"), "--cluster", "127.0.0.1:9"]) == 1
    assert "Expected Ray to answer at 127.0.0.1:9" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
