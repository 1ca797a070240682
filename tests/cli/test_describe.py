"""``textovsr describe``: WebVTT, a table or JSON of how a video was spoilt."""

import json
from pathlib import Path
from typing import Any

import pytest

from textovsr import cli
from textovsr.core.degrade.estimator import ATTRIBUTES, LEVELS
from textovsr.core.text.vtt import parse_text


def describe(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What it prints."""
    assert cli.main(["describe", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_it_prints_what_upscale_takes(webcam_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = describe(capsys, webcam_clip, "--frames-per-shot", 2)
    cues = parse_text(printed).cues
    assert cues
    assert all("downsample" in cue.text for cue in cues)


def test_json_has_all_probabilities(webcam_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values: dict[str, Any] = json.loads(describe(capsys, webcam_clip, "--json", "--cut-threshold", 1))
    (shot,) = values["shots"]
    assert shot["frames"] == 16
    assert shot["text"] == values["overall"]["text"]
    assert list(shot["probabilities"]) == [attribute.name for attribute in ATTRIBUTES]
    for shares in shot["probabilities"].values():
        assert list(shares) == list(LEVELS)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert parse_text(values["webvtt"]).at(0.0) == shot["text"]


def test_a_part_and_a_table(phone_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = describe(capsys, phone_clip, "--table", "--start", 0.5, "--duration", 0.3, "--quiet")
    assert printed.startswith("| part | degradation | none | light | medium | heavy |")
    assert "| 0.5" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["none.mp4"], "Expected a video file"), (["{}", "--frames-per-shot", "0"], "Expected at least 1 frame per shot")],
)
def test_mistakes_are_named(
    arguments: list[str], message: str, webcam_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["describe", *(argument.format(webcam_clip) for argument in arguments)]) == 1
    assert message in capsys.readouterr().err
