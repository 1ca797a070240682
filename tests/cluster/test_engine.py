"""Jobs on a cluster of two machines: the result is the one of a single process, whatever dies on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from textovsr.core.cluster.config import ClusterConfig
from textovsr.core.cluster.engine import restore_on_cluster
from textovsr.core.cluster.shelf import SHELF
from textovsr.core.config import EncodeConfig
from textovsr.core.errors import CancelledError, ClusterError
from textovsr.core.job import Job, Progress, Restored, Source
from textovsr.core.journal import read_lines
from textovsr.core.pipeline import Order, Run, job_folder, restore_video
from textovsr.core.restoration import ShotFrame
from textovsr.tests.helpers.cluster import LedTrail, TrailRecipe, TwoMachines, running
from textovsr.tests.helpers.frames import decoded, packets

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="two Ray machines on one need a POSIX system")

FRAMES = 90


def order(source: Path, output: Path) -> Order:
    codec = "h264" if output.suffix == ".mp4" else "ffv1"
    return Order(Source(source), output, Job(encode=EncodeConfig(codec=codec), segment=8))  # type: ignore[arg-type]


def alone(source: Path, output: Path) -> Restored:
    what = order(source, output)
    return restore_video(what.source, LedTrail(4, 2), what.output, what.job, lambda _: None)


def shared(
    machines: TwoMachines,
    source: Path,
    output: Path,
    recipe: TrailRecipe,
    lead: int = -1,
    report: Callable[[Progress], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Restored:
    machines.settle()
    wish = ClusterConfig(machines.address, lead=lead, piece=16)
    restored = restore_on_cluster(order(source, output), recipe, wish, report, check)
    assert not machines.left()
    return restored


def workers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.worker")]


def unlike(one: Path, other: Path) -> float:
    """The largest difference of two videos whose frames are shown at the same times, of 255."""
    pairs = list(zip(decoded(one), decoded(other), strict=True))
    assert all(a[0] == b[0] for a, b in pairs)
    samples = [(np.frombuffer(a[1], np.uint8), np.frombuffer(b[1], np.uint8)) for a, b in pairs]
    return max(float(np.abs(a.astype(int) - b).max()) for a, b in samples)


@pytest.fixture(scope="module")
def undisturbed(machines: TwoMachines, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What comes of it with a lead of eight frames if nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shared(machines, source, folder / "out.mkv", TrailRecipe(folder), lead=8)
    return folder / "out.mkv"


@pytest.fixture(scope="module")
def exact(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of it."""
    output = tmp_path_factory.mktemp("exact") / "out.mkv"
    alone(source, output)
    return output


def test_with_a_lead_the_result_is_nearly_that_of_one_process(undisturbed: Path, exact: Path) -> None:
    assert 0 < unlike(undisturbed, exact) <= 255 * 0.3 * 0.7**8 + 2  # the trail forgets 0.3 a frame


def test_with_whole_shots_the_result_is_that_of_one_process(
    machines: TwoMachines, source: Path, tmp_path: Path
) -> None:
    """The very file, sound included."""
    one, out = tmp_path / "one.mp4", tmp_path / "out.mp4"
    reference = alone(source, one)
    told: list[Progress] = []
    restored = shared(machines, source, out, TrailRecipe(tmp_path), report=told.append)
    assert out.read_bytes() == one.read_bytes()
    assert packets(out) == packets(source)
    assert (restored.frames, restored.shots) == (reference.frames, reference.shots) == (FRAMES, 4)
    assert [p.done for p in told] == sorted({p.done for p in told})
    assert told[-1].done == FRAMES
    assert {path.suffix for path in tmp_path.iterdir()} == {".mp4", ".worker"}


def test_workers_that_are_killed_and_a_machine_that_goes_down_are_done_without(
    machines: TwoMachines, source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """A worker is started again; the piece of a machine is restored by the other."""
    out = tmp_path / "out.mkv"
    killed: list[int] = []
    machines.settle()
    node = machines.nodes[-1].process

    def disturb(progress: Progress) -> None:
        fresh = [pid for pid in workers(tmp_path) if pid not in killed]
        if fresh and len(killed) < 2:
            killed.append(fresh[0])
            os.kill(fresh[0], signal.SIGKILL)
        elif progress.done > 20 and len(killed) == 2 and node.poll() is None:
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()

    restored = shared(machines, source, out, TrailRecipe(tmp_path, seconds=0.1), lead=8, report=disturb)
    assert (len(killed), node.poll()) == (2, -signal.SIGKILL)
    assert any("was lost" in note for note in restored.notes)
    assert restored.frames == FRAMES
    assert decoded(out) == decoded(undisturbed)


def test_a_job_goes_on_here_and_there(machines: TwoMachines, source: Path, exact: Path, tmp_path: Path) -> None:
    """Cancelled on the cluster, gone on with alone, stopped, and taken up by the cluster again."""
    out = tmp_path / "out.mkv"

    def stop_after(frames: int) -> None:
        if finished(out) >= frames:
            raise CancelledError("enough")

    held = TrailRecipe(tmp_path, trouble="wait", at=0, spared=1)  # each worker restores one shot: there is more to do
    with pytest.raises(CancelledError):
        shared(machines, source, out, held, check=lambda: stop_after(16))
    assert not machines.left()
    first = finished(out)
    assert 16 <= first < FRAMES - 2 * 8
    what = order(source, out)
    with pytest.raises(CancelledError):
        restore_video(what.source, LedTrail(4, 2), out, what.job, lambda _: stop_after(first + 8))
    assert first < finished(out) < FRAMES
    restored = shared(machines, source, out, TrailRecipe(tmp_path))
    assert restored.resumed > first
    assert decoded(out) == decoded(exact)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_cancelled_job_does_not_wait_for_the_end_of_its_video(
    machines: TwoMachines, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had no end."""
    out, frames = tmp_path / "out.mkv", Run.frames

    def endless(run: Run, before: int = 0) -> Iterator[ShotFrame]:
        for frame in frames(run, before):
            yield frame
        while True:
            yield frame

    def check() -> None:
        if finished(out):
            raise CancelledError("enough")

    monkeypatch.setattr(Run, "frames", endless)
    with pytest.raises(CancelledError):
        shared(machines, source, out, TrailRecipe(tmp_path), check=check)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("textovsr")]


def finished(output: Path) -> int:
    return sum(line["frames"] for line in read_lines(job_folder(output))[1:])


@pytest.mark.parametrize(
    ("trouble", "told"),
    [("fail", "this window cannot be restored"), pytest.param("die", "died", marks=pytest.mark.slow)],
)
def test_a_piece_that_always_fails_ends_the_job(
    machines: TwoMachines, source: Path, tmp_path: Path, trouble: Literal["fail", "die"], told: str
) -> None:
    """Its error is told, everything else is kept, though nothing had its turn, and goes into the next run."""
    out, told_done = tmp_path / "out.mkv", list[int]()
    with pytest.raises(ClusterError, match=f"frames 0 to 30, but 3 workers failed at it.*{told}"):
        shared(machines, source, out, TrailRecipe(tmp_path, 0.02, trouble=trouble, at=30))
    assert not machines.left()
    assert finished(out) == 0
    kept = list((job_folder(out) / SHELF).glob("*.json"))
    assert kept
    restored = shared(machines, source, out, TrailRecipe(tmp_path), report=lambda p: told_done.append(p.done))
    assert restored.frames == FRAMES
    assert told_done[0] >= 17
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


DRIVER = """
import sys
from pathlib import Path
from textovsr.core.cluster.config import ClusterConfig
from textovsr.core.cluster.engine import restore_on_cluster
from textovsr.core.pipeline import Order
from textovsr.core.job import Job, Source
from textovsr.core.config import EncodeConfig
from textovsr.tests.helpers.cluster import TrailRecipe

address, source, out = sys.argv[1:]
order = Order(Source(Path(source)), Path(out), Job(encode=EncodeConfig(codec="ffv1"), segment=8))
wish = ClusterConfig(address, lead=8, piece=16)
restore_on_cluster(order, TrailRecipe(Path(out).parent, trouble="wait", at=20), wish, lambda _: None)
"""


def test_a_killed_driver_leaves_a_job_to_take_up(
    machines: TwoMachines, source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Both workers are within a piece, and one is finished ahead of its turn."""
    machines.settle()
    out, ahead = tmp_path / "out.mkv", f"{31:08}.json"
    arguments = [sys.executable, "-W", "ignore", "-c", DRIVER, machines.address, str(source), str(out)]
    with subprocess.Popen(arguments) as driver:
        while driver.poll() is None and not (finished(out) >= 16 and (job_folder(out) / SHELF / ahead).exists()):
            time.sleep(0.1)
        driver.kill()
    assert driver.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*.waiting"))
    assert not machines.left()
    assert not running(workers(tmp_path))
    assert shared(machines, source, out, TrailRecipe(tmp_path), lead=8).resumed >= 16
    assert decoded(out) == decoded(undisturbed)
