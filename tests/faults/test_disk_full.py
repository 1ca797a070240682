"""A disk that fills up, for real: a tmpfs of a few KiB, grown step by step until the job is done."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import DiskFullError
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.space import check_space, estimate_bytes, readable
from textovsr.tests.faults.conftest import FRAMES
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.helpers.restorers import Trail


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``filling.py`` puts what it made into."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def attempts(source: Path, results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What ``filling.py`` tells, by task; skipped where a process may not have mounts of its own."""
    disk = tmp_path_factory.mktemp("disk")
    trial = ["unshare", "-rm", "mount", "-t", "tmpfs", "x", str(disk)]
    if not shutil.which("unshare") or subprocess.run(trial, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs mount namespaces (Linux, unshare)")
    filling = Path(__file__).with_name("filling.py")
    steps = f'mount -t tmpfs -o size=8k tmpfs "{disk}" && exec "{sys.executable}" "{filling}" "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", steps, "sh", str(disk), str(source), str(results)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, list[dict[str, Any]]] = {}
    for line in done.stdout.splitlines():
        attempt = json.loads(line)
        told.setdefault(attempt["task"], []).append(attempt)
    return told


def test_a_full_disk_loses_nothing_that_is_finished(
    attempts: dict[str, list[dict[str, Any]]], results: Path, source: Path, expected: object
) -> None:
    frames = [attempt["frames"] for attempt in attempts["restore"][:-1]]
    assert frames == sorted(frames)
    assert len(set(frames)) > 3
    assert frames[-1] == FRAMES, "it was full while the segments were joined, too"
    assert decoded(results / "restore.mp4") == expected
    assert packets(results / "restore.mp4") == packets(source)


@pytest.mark.parametrize("task", ["restore", "copy", "encode", "degrade", "decode", "latents"])
def test_a_full_disk_is_said_and_nothing_unfinished_stays(
    attempts: dict[str, list[dict[str, Any]]], results: Path, task: str
) -> None:
    *failed, last = attempts[task]
    assert len(failed) > 1
    for attempt in failed:
        assert "free some space" in attempt["error"]
        assert attempt["names"] == ([".restore.mp4.textovsr-job"] if attempt["frames"] else [])
    assert (last["error"], last["names"]) == ("", [f"{task}.mp4"])
    assert (results / f"{task}.mp4").stat().st_size > 0


def test_too_little_room_is_said_at_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textovsr.core.pipeline.estimate_bytes", lambda *_: 1 << 60)
    restorer = Trail()
    with pytest.raises(DiskFullError, match=r"Expected 1152921\.5 TB free in .* choose an output on another disk"):
        restore_video(Source(source), restorer, tmp_path / "out.mp4", Job(), lambda _: None)
    assert restorer.shots == 0
    assert not list(tmp_path.iterdir())


def test_room_is_checked(tmp_path: Path) -> None:
    check_space(tmp_path, 1)
    with pytest.raises(DiskFullError, match="free some space"):
        check_space(tmp_path, 1 << 60)


def test_an_estimate_follows_the_pixels_and_the_quality() -> None:
    base = estimate_bytes(1280, 720, 100, EncodeConfig())
    assert estimate_bytes(1280, 720, 200, EncodeConfig()) == pytest.approx(2 * base, rel=0.01)
    assert estimate_bytes(2560, 720, 100, EncodeConfig()) == pytest.approx(2 * base, rel=0.01)
    assert estimate_bytes(1280, 720, 100, EncodeConfig(crf=22)) == pytest.approx(base / 2, rel=0.01)
    assert estimate_bytes(1280, 720, 100, EncodeConfig(codec="ffv1")) > 10 * base


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0.0 kB"), (999, "1.0 kB"), (3.2e6, "3.2 MB"), (5e9, "5.0 GB"), (2e15, "2000.0 TB")]
)
def test_sizes_in_words(size: float, words: str) -> None:
    assert readable(size) == words
