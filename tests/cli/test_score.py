"""``textovsr score``: numbers, a table of every frame, a page."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from textovsr import cli
from textovsr.core import download as download_module
from textovsr.core.quality import clip_files
from textovsr.tests.helpers.clip import small_clip
from textovsr.tests.helpers.spoilt import BAD, FRAMES, write


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video with one bad frame, and the true one."""
    folder = tmp_path_factory.mktemp("score")
    return write(folder / "spoilt.mkv", spoilt=True), write(folder / "true.mkv", spoilt=False)


def score(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What it prints."""
    assert cli.main(["score", *map(str, arguments), "--device", "cpu", "--quiet"]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def values(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    return dict(json.loads(score(capsys, *arguments, "--json")))


def test_against_a_reference(videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, rows = tmp_path / "out" / "report.html", tmp_path / "out" / "rows.csv"
    options = ("--reference", videos[1], "--html", page, "--csv", rows, "--window", 0.1, "--worst", 2)
    found = values(capsys, videos[0], *options)
    assert found["frames"] == FRAMES
    assert {"psnr_y", "ssim", "vmaf", "vmaf_neg", "warping", "warping_relative", "flicker"} <= set(found["measures"])
    assert found["measures"]["psnr_y"]["max"] == 100
    assert found["measures"]["psnr_y"]["min"] < 25
    assert found["worst_by"] == "vmaf_neg"
    assert found["worst"][0]["start"] == pytest.approx(BAD / 10)
    assert found["worst"][0]["duration"] == pytest.approx(0.1)
    assert any("NIQE was not measured" in note for note in found["notes"])
    with rows.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in table] == list(range(FRAMES))
    assert min(table, key=lambda row: float(row["psnr_y"]))["frame"] == str(BAD)
    assert table[0]["warping"] == ""
    assert math.isclose(float(table[3]["seconds"]), 0.3)
    text = page.read_text("utf-8")
    assert text.count("<figure>") == 2
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text


def test_without_a_reference(videos: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    text = score(capsys, videos[0], "--metrics", "sharpness,flicker", "--worst-by", "sharpness", "--window", 0.1)
    lines = text.splitlines()
    assert any(line.startswith("| sharpness (levels) |") for line in lines)
    worst = next(line for line in lines if "start=" in line)
    assert worst.split()[:2] == ["start=0.500", "duration=0.100"]


def test_one_frame_in_n(videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.csv"
    options = ("--reference", videos[1], "--metrics", "vmaf,flicker", "--every", 3, "--csv", rows)
    assert values(capsys, videos[0], *options)["frames"] == FRAMES
    with rows.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["frame"] for row in table] == ["0", "3", "6"]
    assert all(row["vmaf"] for row in table)
    assert [bool(row["flicker"]) for row in table] == [False, True, True]


def test_a_part_keeps_the_times_of_the_file(videos: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--metrics", "sharpness", "--start", 0.3, "--duration", 0.4, "--window", 0.1)
    found = values(capsys, videos[0], *options)
    assert found["frames"] == 4
    assert found["worst"][0]["start"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metrics", "sharpnes"), "Expected one of psnr_y"),
        (("--metrics", "ssim"), "Expected a reference for ssim"),
        (("--metrics", "niqe"), "two blocks of 96 pixels"),
        (("--metrics", "musiq"), "pip install pyiqa"),
        (("--metrics", "sharpness", "--worst-by", "ssim"), "worst moments by one of sharpness"),
        (("--every", "0"), "every and worst of at least 1"),
        (("--line", "2"), "a line from 0 to 1"),
    ],
)
def test_what_cannot_be_measured_is_said(
    videos: tuple[Path, Path], arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in score(capsys, videos[0], *arguments, code=1)


def test_sizes_have_to_be_equal_or_are_made_so(
    videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = write(tmp_path / "small.mkv", spoilt=False, frames=2, size=(64, 48))
    options = ("--reference", videos[1], "--metrics", "psnr_y")
    assert "Expected a video of 96x64 pixels" in score(capsys, small, *options, code=1)
    found = values(capsys, small, *options, "--resize")
    assert found["frames"] == 2
    assert any("The reference is longer" in note for note in found["notes"])


def test_nothing_is_overwritten_unasked(
    videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("mine")
    options = ("--metrics", "sharpness", "--csv", rows)
    assert "--overwrite" in score(capsys, videos[0], *options, code=1)
    assert rows.read_text() == "mine"
    score(capsys, videos[0], *options, "--overwrite")
    assert rows.read_text().startswith("frame,")
    assert "an output other than the input" in score(capsys, videos[0], "--csv", videos[0], "--overwrite", code=1)


@pytest.fixture
def no_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of weights, empty, on a machine where no other program has a CLIP."""
    monkeypatch.setattr(clip_files, "caches", list)
    monkeypatch.setenv("TEXTOVSR_WEIGHTS", str(tmp_path))
    return tmp_path


def test_clip_iqa_by_a_file_or_a_name(
    videos: tuple[Path, Path], no_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (videos[0], "--metrics", "clip_iqa")
    assert "Expected CLIP RN50 for CLIP-IQA, found none" in score(capsys, *options, code=1)
    assert "Expected the CLIP file mine.pt" in score(capsys, videos[0], "--clip", "mine.pt", code=1)
    save_file(small_clip(), no_clip / "mine.safetensors")
    by_file = values(capsys, *options, "--clip", no_clip / "mine.safetensors")["measures"]["clip_iqa"]
    assert by_file["frames"] == FRAMES
    assert by_file["higher_is_better"]
    assert by_file["min"] < by_file["max"]
    assert values(capsys, *options, "--clip", "mine.safetensors")["measures"]["clip_iqa"] == by_file


def test_what_is_measured_unasked_tells_that_clip_is_missing(
    videos: tuple[Path, Path], no_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = values(capsys, videos[0])["notes"]
    assert any(note.startswith("CLIP-IQA was not measured: its weights are not on this machine") for note in notes)


def test_clip_is_downloaded_if_that_was_agreed_to(
    videos: tuple[Path, Path], no_clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def download(file: clip_files.PublishedClip, target: Path, report: Any) -> Path:
        asked.append(target)
        report(file.size, file.size)
        save_file(small_clip(), target)
        return target

    monkeypatch.setattr(download_module, "download", download)
    options = (videos[0], "--metrics", "clip_iqa", "--download")
    for _ in range(2):
        assert "clip_iqa" in values(capsys, *options)["measures"]
    assert asked == [no_clip / clip_files.PUBLISHED_CLIPS[0].file]
    asked[0].unlink()
    monkeypatch.delenv("TEXTOVSR_WEIGHTS")
    assert "Expected a folder for CLIP RN50" in score(capsys, *options, code=1)
