"""A process that is killed while it saves: what it left unfinished goes with the next save, what lives stays."""

import errno
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from textovsr.core.job import Source
from textovsr.core.job_lock import LOCK
from textovsr.core.transcode import save_video
from textovsr.core.unfinished import FOLDER_SUFFIX
from textovsr.tests.faults.forker import KILLED, Forker, Order, named_at, until
from textovsr.tests.helpers.frames import decoded

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither fork nor SIGKILL")


def left(folder: Path) -> int:
    """Unfinished files in it."""
    return len([path for path in folder.iterdir() if path.name.endswith(FOLDER_SUFFIX)])


def test_what_killed_saves_left_goes_with_the_next(forker: Forker, source: Path, tmp_path: Path) -> None:
    order = Order(source, tmp_path / "out.mp4", task="save")
    steps = forker.whole(order)["steps"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    for step in range(1, len(steps) + 1):
        order = replace(order, output=tmp_path / str(step) / "out.mp4", die_at=step)
        order.output.parent.mkdir()
        assert forker.run(order) == KILLED
        assert order.output.exists() == (step > named_at(steps))
        for path in order.output.parent.glob(f"*{FOLDER_SUFFIX}"):
            path.rename(tmp_path / path.name)
        assert len(list(order.output.parent.iterdir())) == order.output.exists()
    assert left(tmp_path) > len(steps) // 2
    save_video(Source(source), tmp_path / "last.mp4")
    assert left(tmp_path) == 0


def test_what_a_living_save_has_not_finished_stays(forker: Forker, source: Path, tmp_path: Path) -> None:
    order = Order(source, tmp_path / "out.mp4", task="save")
    named = named_at(forker.whole(order)["steps"])
    order.output.unlink()

    def meanwhile(job: psutil.Process) -> None:
        until(lambda: job.status() == psutil.STATUS_STOPPED)
        try:
            save_video(Source(source), tmp_path / "other.mp4")
            assert left(tmp_path) == 1
        finally:
            job.resume()

    assert forker.run(replace(order, die_at=named, signal="SIGSTOP"), meanwhile) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "other.mp4"}
    assert len(decoded(order.output)) == 90


def test_a_disk_without_locks_and_what_is_not_ours_hinder_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f".theirs{FOLDER_SUFFIX}" / LOCK).mkdir(parents=True)  # cannot be locked
    save_video(Source(source), tmp_path / "a.mp4")

    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_lock)
    save_video(Source(source), tmp_path / "b.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "b.mp4", f".theirs{FOLDER_SUFFIX}"}
