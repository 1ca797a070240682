"""The demo's picture, its progress, and its words for failures."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from textovsr.tools import before_after, comfy_client, demo
from textovsr.tools.errors import DevError


def test_the_marked_detail_is_an_outline_and_not_the_noise() -> None:
    image = Image.new("L", (1280, 720), 128)
    image.paste(Image.effect_noise((640, 720), 60), (0, 0))
    ImageDraw.Draw(image).ellipse((900, 300, 1100, 500), fill=255)
    left, top, right, bottom = before_after.interesting_box(image)
    assert left <= 900 < 1100 <= right
    assert top < 500
    assert bottom > 300


@pytest.mark.parametrize("size", [(16, 16), (64, 300), (640, 64), (3000, 1200)])
def test_the_marked_detail_is_inside_the_frame(size: tuple[int, int]) -> None:
    left, top, right, bottom = before_after.interesting_box(Image.effect_noise(size, 50))
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]


def test_the_picture_shows_both_sides(phone_clip: Path, tmp_path: Path) -> None:
    picture = before_after.before_after(phone_clip, phone_clip, tmp_path / "both.png")
    with Image.open(picture) as image:
        middle = image.width // 2
        assert image.width > 2 * before_after.COLUMN
        left, right = image.crop((0, 100, middle, image.height)), image.crop((middle, 100, 2 * middle, image.height))
    assert left.getcolors(16) is None  # a picture on each side
    assert right.getcolors(16) is None


def test_progress_says_frames_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 20.0, 20.0])
    monkeypatch.setattr(demo.time, "monotonic", lambda: next(clock))
    show = demo.ProgressLine({"2": {"class_type": "OVSR_TextOVSRUpscale"}})
    show({"type": "executing", "data": {"node": "2"}})
    for value in (0, 10, 20, 20):
        state = {"2": {"state": "running", "value": value, "max": 20}}
        show({"type": "progress_state", "data": {"nodes": state}})
    assert capsys.readouterr().out.splitlines() == [
        "  TextOVSRUpscale",
        "    frame 0 of 20",
        "    frame 10 of 20, 1.00 frames/s, 10 s left",
        "    frame 20 of 20, 1.00 frames/s",
    ]


def test_a_failed_node_is_told_in_its_own_words() -> None:
    error = {"node_type": "OVSR_LoadVideo", "exception_message": "Expected a video, got none.\n"}
    with pytest.raises(DevError, match=r"OVSR_LoadVideo failed: Expected a video, got none\.$"):
        demo.check(comfy_client.PromptResult("error", error=error))


def test_the_clip_goes_into_the_workflow(root: Path) -> None:
    prompt = demo.load_prompt(root / "workflows" / "api" / "upscale_clip.json", "mine.mkv")
    assert [node["inputs"]["file"] for node in prompt.values() if "file" in node["inputs"]] == ["mine.mkv"]
