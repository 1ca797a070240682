"""``textovsr upscale --system``: a diffusion system with small networks in files as they are published."""

import json
from pathlib import Path

import pytest

from textovsr import cli
from textovsr.cli.weights import WEIGHTS_FOLDERS
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.cli import make_video
from textovsr.tests.helpers.diffusion_files import save_diffvsr, save_mgld


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where weights are looked for, and nowhere else."""
    monkeypatch.setenv(WEIGHTS_FOLDERS, str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    return tmp_path / "weights"


def test_a_video_is_restored(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_diffvsr(folder)
    source, result = make_video(tmp_path / "in.mp4", (32, 16), frames=3), tmp_path / "out.mp4"
    options = ["--system", "diffvsr", "--steps", "1", "--cfg", "1", "--seed", "4", "--device", "cpu", "--json"]
    assert cli.main(["upscale", str(source), str(result), *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["frames"], said["width"], said["height"]) == (3, 128, 64)
    with VideoReader(result) as reader:
        assert sum(1 for _ in reader) == 3


def test_missing_files_are_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    source = make_video(tmp_path / "in.mp4")
    assert cli.main(["upscale", str(source), str(tmp_path / "out.mp4"), "--system", "mgld"]) != 0
    said = capsys.readouterr().err
    assert "mgldvsr_unet.ckpt" in said
    assert "textovsr weights get mgld" in said
    assert not (tmp_path / "out.mp4").exists()


def test_a_setting_out_of_range_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_mgld(folder)
    source = make_video(tmp_path / "in.mp4")
    options = ["--system", "mgld", "--tile", "10", "--device", "cpu"]
    assert cli.main(["upscale", str(source), str(tmp_path / "out.mp4"), *options]) != 0
    assert "a multiple of 64 pixels, or 0 for automatic, got 40" in capsys.readouterr().err
