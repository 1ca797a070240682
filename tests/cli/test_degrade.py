"""``textovsr degrade`` as a script meets it."""

import json
from functools import partial
from pathlib import Path

import pytest

from textovsr.core.degrade.config import PRESETS
from textovsr.core.degrade.parameters import Degradation
from textovsr.core.video.probe import probe
from textovsr.tests.helpers.cli import Run, make_video
from textovsr.tests.helpers.threads import one_thread as one_thread


@pytest.fixture
def run(run: Run, tmp_path: Path) -> Run:
    """The command ``degrade`` as a function, in a folder with a video of five frames of 96x64."""
    make_video(tmp_path / "in.mp4", (96, 64))
    return partial(run, "degrade")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_writes_video_text_and_parameters(run: Run, tmp_path: Path, preset: str) -> None:
    files = ("--text-file", "t.txt", "--parameters-file", "p.json")
    done = run("in.mp4", "out.mp4", "--preset", preset, "--seed", 3, "--scale", "1/4", "--device", "cpu", *files)
    assert done.returncode == 0, done.stderr
    degradation = Degradation.from_json((tmp_path / "p.json").read_text("utf-8"))
    assert (degradation.config.preset, degradation.config.seed, degradation.out) == (preset, 3, (16, 24))
    assert (tmp_path / "t.txt").read_text("utf-8") == degradation.text + "\n"
    assert degradation.text in done.stdout
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height, info.frames, len(info.audio)) == (24, 16, 5, 1)


def test_json_says_everything(run: Run) -> None:
    done = run("in.mp4", "out.mkv", "--codec", "ffv1", "--drift", 0.5, "--json", "--quiet", "--device", "cpu")
    values = json.loads(done.stdout)
    assert (values["frames"], values["width"], values["height"]) == (5, 96, 64)
    assert values["parameters"]["drift"] == 0.5
    assert values["parameters"]["text"] == values["text"]
    assert probe(Path("out.mkv")).codec == "ffv1"


@pytest.mark.parametrize("existing", ["out.mp4", "t.txt"])
def test_nothing_is_replaced_unasked(run: Run, tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine")
    arguments = ("in.mp4", "out.mp4", "--text-file", "t.txt", "--preset", "webcam", "--device", "cpu", "--quiet")
    done = run(*arguments)
    assert done.returncode == 1
    assert f"got {existing}, which exists; add --overwrite" in done.stderr
    assert (tmp_path / existing).read_text() == "mine"
    assert run(*arguments, "--overwrite").returncode == 0
    assert (tmp_path / existing).read_bytes()[:4] != b"mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("in.mp4", "in.mp4", "--overwrite"), "Expected an output other than the input"),
        (("in.mp4", "no/out.mp4"), "to write to, found none"),
        (("in.mp4", "out.mp4", "--drift", "2"), "Expected a drift of 0 to 1, got 2"),
        (("in.mp4", "out.mp4", "--seed", "-1"), "Expected a seed of at least 0"),
        (("none.mp4", "out.mp4"), "which does not exist"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("arguments", [("--preset", "betamax"), ("--scale", "1/2"), ("--start", "-1")])
def test_wrong_usage_is_two(run: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("in.mp4", "out.mp4", *arguments)
