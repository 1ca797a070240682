"""What nodes tell the canvas of the values of every frame: names inside the host's folders, never a path."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from textovsr.core.job import Source
from textovsr.core.quality.clip_scores import FrameScores

SCORES = FrameScores((("sharp", "blurry"), ("a", "b")), [0, 2], [0.5, 0.7], ([0.25, 0.5], [0.75, 0.5]))


@pytest.fixture
def module(nodes: dict[str, Any]) -> Any:
    """The pack's module."""
    return sys.modules[sys.modules[nodes["OVSR_CLIPIQAScore"].__module__].scores_timeline.__module__]


def test_scores_are_a_table_in_the_temporary_folder(module: Any, host: ModuleType) -> None:
    video = Path(host.get_input_directory()) / "films" / "old.mkv"
    video.parent.mkdir(exist_ok=True)
    video.touch()
    (told,) = module.scores_timeline(SCORES, Source(video, 0.5, deinterlace="off"))
    assert told["video"] == {
        "filename": "old.mkv", "subfolder": "films", "type": "input", "deinterlace": "off",
    }  # fmt: skip
    table = Path(host.get_temp_directory()) / told["table"]["subfolder"] / told["table"]["filename"]
    assert table.read_text("utf-8").splitlines()[0] == "frame,seconds,score,sharp / blurry,a / b"
    assert [(each["name"], each["heading"]) for each in told["measures"]] == [
        ("score", "all pairs"), ("sharp / blurry", "sharp / blurry"), ("a / b", "a / b"),
    ]  # fmt: skip
    assert told["chosen"] == "score"
    assert str(Path(host.get_temp_directory()).parent) not in str(told)


def test_a_video_of_another_folder_has_no_name(module: Any, tmp_path: Path) -> None:
    video = tmp_path / "secret.mkv"
    video.touch()
    (told,) = module.scores_timeline(SCORES, Source(video))
    assert told["video"] is None
    assert "secret" not in str(told)
