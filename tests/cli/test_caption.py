"""``textovsr caption``: WebVTT or JSON of what is to be seen, by a tiny LLaVA on the disk."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from textovsr import cli
from textovsr.cli import caption
from textovsr.cli.weights import WEIGHTS_FOLDERS
from textovsr.core.text.vlm_folders import Precision
from textovsr.core.text.vtt import parse_text
from textovsr.tests.helpers.cli import make_video
from textovsr.tests.helpers.vlms import WORDS, save_vlm


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model in it."""
    folder = tmp_path_factory.mktemp("models")
    save_vlm(folder / "tiny-llava")
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "in.mp4", frames=10)


def run(*arguments: object) -> int:
    return cli.main(["caption", *map(str, arguments)])


def test_it_prints_what_upscale_takes(video: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = (video, "--model", models / "tiny-llava", "--every", 0.2, "--max-tokens", 4, "--cut-threshold", 1)
    assert run(*asked, "--quiet") == 0
    cues = parse_text(capsys.readouterr().out).cues
    assert [round(cue.start, 2) for cue in cues] == [0.0, 0.2]
    assert all(len(cue.text.split()) == 4 and set(cue.text.split()) <= set(WORDS) for cue in cues)


def test_a_file_and_json(
    video: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(WEIGHTS_FOLDERS, str(models))
    output = tmp_path / "captions.vtt"
    asked = (video, "--output", output, "--prompt", "a cat", "--precision", "bfloat16", "--batch", 1, "--max-tokens", 3)
    asked = (*asked, "--cut-threshold", 1)
    assert run(*asked, "--json", "--quiet") == 0
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert values["path"] == str(output)
    assert output.read_text("utf-8") == values["webvtt"]
    assert values["captions"][0]["text"] == parse_text(values["webvtt"]).at(0.0)
    assert run(*asked) == 1
    assert "exists; add --overwrite" in capsys.readouterr().err
    assert run(*asked, "--overwrite", "--device", "cpu", "--model", "tiny-llava") == 0
    assert capsys.readouterr().out == f"{output}: 1 caption\n"


def test_without_a_model_the_ways_are_named(
    video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(WEIGHTS_FOLDERS, raising=False)
    assert run(video) == 1
    assert "There are three ways: put the folder of one" in capsys.readouterr().err
    assert run(video, "--download", "author/model") == 1
    assert f"name one in the environment variable {WEIGHTS_FOLDERS}" in capsys.readouterr().err


def test_a_download_is_only_what_was_asked_for(
    video: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(WEIGHTS_FOLDERS, str(models))
    assert run(video, "--download", "not a repository") == 1
    assert "Expected a repository such as" in capsys.readouterr().err
    assert run(video, "--download", "anyone/tiny-llava", "--max-tokens", 2, "--quiet") == 0  # it is there already


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4"], "Expected a video file"),
        (["{video}", "--frames", "0"], "at least 1 frame per scene"),
        (["{video}", "--prompt", " "], "Expected a prompt"),
        (["{video}", "--output", "{video}"], "other than the input"),
        (["{video}", "--output", "no/such/folder.vtt"], "Expected a folder no/such to write to"),
        (["{video}", "--model", "{folder}"], r"model's folder with config.json"),
    ],
)
def test_mistakes_are_named(
    arguments: list[str], message: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*(argument.format(video=video, folder=tmp_path) for argument in arguments)) == 1
    assert message in capsys.readouterr().err


def test_the_precisions_are_those_there_are() -> None:
    assert get_args(Precision) == caption._PRECISIONS
