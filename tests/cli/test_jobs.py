"""Jobs that are stopped, gone on with, listed and removed: the command line as a real process, the network real."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest

from textovsr import cli
from textovsr.tests.helpers.cli import interruptible, make_video
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.helpers.threads import one_thread as one_thread

FRAMES = 60
ONE_SHOT = ("--cut-threshold", "1")
"""The frames are noise, each a shot of its own."""


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> tuple[Path, str]:
    """The folder of a job on in.mp4 that Ctrl-C stopped after its first segments, and what it said."""
    folder = tmp_path_factory.mktemp("interrupted")
    make_video(folder / "in.mp4", (96, 64), frames=FRAMES)
    small = ("--weights", weights, "--segment", 8, "--window", 4, *ONE_SHOT)
    with interruptible("upscale", "in.mp4", "out.mp4", *small, hold=("frame", 32), cwd=folder) as running:
        assert running.stderr is not None
        while int(running.stderr.readline().split("/")[0]) < 24:
            pass
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate()
    assert running.returncode == cli.INTERRUPTED
    return folder, errors


@pytest.fixture
def stopped(interrupted: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of that folder to work in, and what was said."""
    shutil.copytree(interrupted[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return interrupted[1]


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")


def test_a_stopped_job_says_where_it_is_and_goes_on(
    stopped: str,
    tmp_path: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / ".out.mp4.textovsr-job"
    assert f"what is finished is kept in {folder.name}: the same command goes on from there" in stopped
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, "in.mp4"]
    for segment in folder.glob("segment-*"):
        assert len(decoded(segment)) == 8, "a finished segment can be watched"
    same = ["--weights", str(weights), "--segment", "8", "--window", "4", *ONE_SHOT, "--json"]
    assert cli.main(["upscale", "in.mp4", "whole.mp4", *same]) == 0
    assert json.loads(capsys.readouterr().out)["resumed"] == 0
    assert cli.main(["upscale", "in.mp4", "out.mp4", *same]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["resumed"] >= 16
    assert result["resumed"] % 8 == 0
    assert f"An earlier run had finished {result['resumed']} frames" in caplog.text
    assert decoded(tmp_path / "out.mp4") == decoded(tmp_path / "whole.mp4")
    assert packets(tmp_path / "out.mp4") == packets(tmp_path / "in.mp4")
    assert not folder.exists()


def test_other_settings_start_afresh(
    stopped: str,
    tmp_path: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert cli.main(["upscale", "in.mp4", "out.mp4", "--weights", str(weights), "--crf", "30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["resumed"] == 0
    assert "input or settings have changed; the job starts afresh" in caplog.text


def test_another_input_of_the_same_name_starts_afresh(
    stopped: str,
    tmp_path: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_video(tmp_path / "in.mp4", (96, 64), frames=10)
    same = ["--weights", str(weights), "--segment", "8", "--window", "4", *ONE_SHOT, "--json"]
    assert cli.main(["upscale", "in.mp4", "out.mp4", *same]) == 0
    assert json.loads(capsys.readouterr().out)["resumed"] == 0
    assert len(decoded(tmp_path / "out.mp4")) == 10


def test_jobs_are_listed_and_removed(stopped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ".out.mp4.textovsr-job"
    assert cli.main(["jobs", str(tmp_path), "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)
    assert (job["folder"], job["source"], job["output"]) == (str(folder), "in.mp4", "out.mp4")
    assert (job["frames"], job["running"]) == (8 * job["segments"], False)
    assert job["size"] == sum(path.stat().st_size for path in folder.iterdir())
    assert cli.main(["jobs", str(tmp_path)]) == 0
    assert f"{job['frames']} frames in {job['segments']} segments" in capsys.readouterr().out
    assert cli.main(["jobs", str(folder), "--remove"]) == 0
    assert "removed" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    assert cli.main(["jobs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no unfinished jobs\n"


def test_a_running_job_is_left_alone(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(tmp_path / "in.mp4", (96, 64), frames=20)
    arguments = ("upscale", tmp_path / "in.mp4", tmp_path / "out.mp4", "--weights", weights, "--segment", 8, *ONE_SHOT)
    with interruptible(*arguments, hold=("frame", 2)) as running:
        assert running.stderr is not None
        running.stderr.readline()
        assert cli.main(["jobs", str(tmp_path), "--remove"]) == 0
        assert capsys.readouterr().out.startswith("running")
        assert cli.main([str(argument) for argument in arguments]) == 1
        assert f"process {running.pid} on " in capsys.readouterr().err
        running.kill()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["jobs", str(tmp_path / "none")]) == 1
    assert "Expected a folder to look in" in capsys.readouterr().err
