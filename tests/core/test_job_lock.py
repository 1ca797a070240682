"""The lock of a folder: whoever is about to let go of it is waited for, and a save finds itself another folder."""

from pathlib import Path

import pytest

from textovsr.core import job_lock
from textovsr.core.errors import JobRunningError
from textovsr.core.job_lock import HOLDER, LOCK, JobLock, sweep
from textovsr.core.unfinished import FOLDER_SUFFIX, unfinished


class Time:
    """Stands for ``time`` in the lock: nothing is slept for, and something is done at the so manyeth time."""

    def __init__(self, moment: int, lock: JobLock) -> None:
        self.slept, self._moment, self._lock = 0, moment, lock

    def sleep(self, _: float) -> None:
        self.slept += 1
        if self.slept == self._moment:
            self._lock.remove()


def test_a_folder_that_is_being_removed_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remover, lock = JobLock(tmp_path / "job"), JobLock(tmp_path / "job")
    remover.acquire(job_lock.REMOVAL)
    monkeypatch.setattr(job_lock, "time", Time(30, remover))
    lock.acquire("out.mp4")
    assert lock.held
    lock.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", [30, 1000])
def test_who_holds_it_and_does_not_say_so_may_have_only_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    remover, lock = JobLock(tmp_path / "job"), JobLock(tmp_path / "job")
    remover.acquire("")
    (tmp_path / "job" / HOLDER).unlink()
    monkeypatch.setattr(job_lock, "time", Time(left, remover))
    if left == 30:
        lock.acquire("out.mp4")
        assert lock.held
    else:
        with pytest.raises(JobRunningError, match="another run is at work"):
            lock.acquire("out.mp4")
    lock.release()
    remover.release()


def test_a_run_at_work_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, lock = JobLock(tmp_path / "job"), JobLock(tmp_path / "job")
    run.acquire("out.mp4")
    time = Time(0, run)
    monkeypatch.setattr(job_lock, "time", time)
    with pytest.raises(JobRunningError, match=r"which writes out\.mp4, is at work"):
        lock.acquire("out.mp4")
    assert time.slept < 20
    run.release()


def test_a_save_leaves_a_folder_to_whoever_sweeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between making and locking it, another save may take it for one that was left over."""
    sweeping: list[JobLock] = []

    class Overtaken(JobLock):
        def acquire(self, output: str, patient: bool = True) -> None:
            if not sweeping:
                sweeping.append(JobLock(self.folder))
                sweeping[0].acquire("slow")
            super().acquire(output, patient)

    monkeypatch.setattr("textovsr.core.unfinished.JobLock", Overtaken)
    output = tmp_path / "out.mp4"
    with unfinished(output) as partial:
        sweeping[0].remove()
        assert (partial.parent / LOCK).exists()
        sweep(tmp_path, FOLDER_SUFFIX)
        partial.write_bytes(b"whole")
        partial.replace(output)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_sweep_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is at it, or somebody has taken the folder up after all."""
    (tmp_path / "left").mkdir()
    other = JobLock(tmp_path / "left")

    def not_yet(folder: Path) -> bool:
        other.acquire(job_lock.REMOVAL)
        return False

    time = Time(0, other)
    monkeypatch.setattr(job_lock, "is_held", not_yet)
    monkeypatch.setattr(job_lock, "time", time)
    sweep(tmp_path, "left")
    assert other.held
    assert time.slept == 0
    other.remove()
