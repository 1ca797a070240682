"""SIGKILL at random moments: the same job, run again, goes on where it was and ends with the same frames."""

import random
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from textovsr.core.journal import read_lines
from textovsr.core.pipeline import job_folder
from textovsr.tests.faults.forker import KILLED, Forker, Order, content, finished, first_sight, named_at, until
from textovsr.tests.helpers.frames import decoded, packets

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither fork nor SIGKILL")

SEGMENT = 8
AT_A_TIME, AT_WORK, BEFORE_ITS_NAME, AFTER_IT = 8, 10, 4, 3
"""Kills of each codec: 50 in all."""

CODECS = pytest.mark.parametrize(("codec", "name"), [("h264", "out.mp4"), ("png", "out")])


def picture(path: Path) -> object:
    """What is to be seen. Bytes say too much: Matroska gives every file an identifier by chance."""
    return content(path) if path.is_dir() else decoded(path)


def kill(job: psutil.Process, after: float) -> None:
    """Kill a job so many seconds after its begin."""
    time.sleep(after)
    job.kill()


def last_steps(steps: list[str]) -> int:
    """How many steps a job takes from the first that joins the segments."""
    return len(steps) - next(index for index, step in enumerate(steps) if ".part" in step)


@CODECS
def test_a_job_that_is_killed_again_and_again_ends_the_same(
    forker: Forker, source: Path, tmp_path: Path, codec: str, name: str
) -> None:
    order = Order(source, tmp_path / "whole" / name, codec)
    order.output.parent.mkdir()
    forker.whole(order)
    chance = random.Random(codec)
    killed = replace(order, output=tmp_path / "killed" / name)
    killed.output.parent.mkdir()
    kept = 0
    with first_sight(killed.output) as seen:
        for number in range(AT_WORK + AT_A_TIME):
            if number < AT_WORK:  # the first segment is recorded with step 16, every further one takes 7 or so
                code = forker.run(replace(killed, die_at=chance.randint(1, 24)))
            else:  # in half a second it is where it waits for its end, however late that comes
                after, slow = chance.uniform(0, 0.4), replace(killed, seconds=0.1, wait_at=5)
                code = forker.run(slow, lambda job, after=after: kill(job, after))
            assert code == KILLED
            assert finished(killed.output) >= kept, "a finished segment was lost"
            kept = finished(killed.output)
        assert not killed.output.exists()
        assert forker.whole(killed)["resumed"] == kept > 0
        until(lambda: bool(seen))
    assert content(killed.output) == seen[0]
    assert picture(killed.output) == picture(order.output)
    assert [path.name for path in killed.output.parent.iterdir()] == [name]
    if codec != "png":
        assert packets(killed.output) == packets(source)


@CODECS
def test_a_job_that_is_killed_at_its_end_is_whole_or_goes_on(
    forker: Forker, source: Path, tmp_path: Path, codec: str, name: str
) -> None:
    order = Order(source, tmp_path / "whole" / name, codec)
    order.output.parent.mkdir()
    steps = forker.whole(order)["steps"]
    whole = picture(order.output)
    ready = replace(order, output=tmp_path / "ready" / name)  # everything is done but to join the segments
    ready.output.parent.mkdir()
    assert forker.run(replace(ready, die_at=len(steps) - last_steps(steps) + 1)) == KILLED
    assert finished(ready.output) == 90
    trial = replace(order, output=tmp_path / "trial" / name)
    shutil.copytree(ready.output.parent, trial.output.parent)
    short = forker.whole(trial)["steps"]
    chance = random.Random(codec)
    first, named = len(short) - last_steps(short) + 1, named_at(short)
    moments = chance.sample(range(first, named + 1), min(BEFORE_ITS_NAME, named + 1 - first))
    moments += chance.sample(range(named + 1, len(short) + 1), BEFORE_ITS_NAME + AFTER_IT - len(moments))
    for number, moment in enumerate(moments):
        again = replace(order, output=tmp_path / f"killed{number}" / name)
        shutil.copytree(ready.output.parent, again.output.parent)
        with first_sight(again.output) as seen:
            assert forker.run(replace(again, die_at=moment)) == KILLED
            assert again.output.exists() == (moment > named)
            if moment <= named:
                assert forker.whole(again)["resumed"] == 90
                assert [path.name for path in again.output.parent.iterdir()] == [name]
            until(lambda seen=seen: bool(seen))
        assert content(again.output) == seen[0]
        assert picture(again.output) == whole


def test_a_kill_loses_at_most_one_segment(forker: Forker, source: Path, tmp_path: Path) -> None:
    order = Order(source, tmp_path / "out.mp4", seconds=0.03, wait_at=2 * SEGMENT + 4)
    for _ in range(3):
        before = finished(order.output)

        def meanwhile(job: psutil.Process, before: int = before) -> None:
            until(lambda: finished(order.output) > before)
            job.kill()

        assert forker.run(order, meanwhile) == KILLED
        folder = job_folder(order.output)
        begun = {int(path.stem.split("-")[1]) for path in folder.glob("part-*")}
        segments = len(read_lines(folder)) - 1
        assert begun <= {segments}
        assert finished(order.output) > before
    assert forker.whole(replace(order, seconds=0.0, wait_at=0))["resumed"] >= 3 * SEGMENT
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
