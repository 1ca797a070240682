"""What ``upscale``, ``info`` and ``weights`` do, called as a function: small videos, a tiny network."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from textovsr.cli.weights import WEIGHTS_FOLDERS
from textovsr.models.catalog import SHIPPED
from textovsr.tests.helpers.cli import Run, assert_only, make_video, read
from textovsr.tests.helpers.networks import add_detail_end
from textovsr.tests.helpers.threads import one_thread as one_thread


@pytest.mark.parametrize("size", [(16, 16), (32, 16), (96, 64), (30, 50)])
def test_a_video_becomes_four_times_larger(run: Run, tmp_path: Path, weights: Path, size: tuple[int, int]) -> None:
    make_video(tmp_path / "in.mp4", size)
    done = run("upscale", "in.mp4", "out.mp4", "--weights", weights)
    assert (done.returncode, done.stdout.split(" in ")[0]) == (0, f"out.mp4: 5 frames of {4 * size[0]}x{4 * size[1]}")
    frames, found = read(tmp_path / "out.mp4")
    assert len(frames) == 5
    assert found == {"codec": "h264", "format": "yuv420p", "sounds": 1, "size": (4 * size[0], 4 * size[1])}
    assert_only(tmp_path, "in.mp4", "out.mp4")


def test_the_result_is_told_as_json(run: Run, video: Path, weights: Path) -> None:
    done = run("upscale", video, "out.mp4", "--weights", weights, "--json")
    result = json.loads(done.stdout)
    assert {key: result[key] for key in ("path", "frames", "width", "height")} == {
        "path": "out.mp4",
        "frames": 5,
        "width": 128,
        "height": 64,
    }
    assert result["fps"] == pytest.approx(5 / result["seconds"])
    assert len(result["streams"]["copied"]) == 1
    assert result["streams"]["converted"] == result["streams"]["dropped"] == []


def test_every_option_reaches_the_pipeline(run: Run, tmp_path: Path, weights: Path) -> None:
    make_video(tmp_path / "in.mp4", (64, 48), frames=10)
    (tmp_path / "wrong.txt").write_text("heavy noise")
    options = (
        "--degradation @wrong.txt --start 0.08 --duration 0.2 --codec hevc --crf 30 --bit-depth 10 --height 72 "
        "--color-fix wavelet --cleaning-threshold 5 --window 2 --look-ahead 1 --tile 32 --device cpu --quiet"
    )
    done = run("upscale", "in.mp4", "out.mkv", "--weights", weights, "--caption", "a cat", *options.split())
    assert (done.returncode, done.stdout) == (0, "")
    frames, found = read(tmp_path / "out.mkv")
    assert len(frames) == 5
    assert found == {"codec": "hevc", "format": "yuv420p10le", "sounds": 1, "size": (96, 72)}


def test_scale_two_is_the_average_of_scale_four(run: Run, video: Path, tmp_path: Path, weights: Path) -> None:
    for scale in (2, 4):
        common = ("--weights", weights, "--codec", "ffv1", "--bit-depth", 10)
        assert run("upscale", video, f"{scale}.mkv", *common, "--scale", scale).returncode == 0
    small, large = read(tmp_path / "2.mkv")[0][2], read(tmp_path / "4.mkv")[0][2]
    average = large.reshape(32, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - average).max() <= 2


def test_texts_steer_the_result(run: Run, video: Path, tmp_path: Path, weights: Path) -> None:
    (tmp_path / "texts.vtt").write_text("WEBVTT\n\n00:00.080 --> 00:01.000\na cat")
    exact = ("--weights", weights, "--codec", "ffv1")
    run("upscale", video, "plain.mkv", *exact)
    run("upscale", video, "texts.mkv", *exact, "--caption", "@texts.vtt")
    assert not np.array_equal(read(tmp_path / "plain.mkv")[0][4], read(tmp_path / "texts.mkv")[0][4])


def test_the_dial_goes_to_the_other_end(run: Run, video: Path, tmp_path: Path, weights: Path) -> None:
    exact = ("--weights", weights, "--codec", "ffv1", "--fidelity")
    alone = run("upscale", video, "alone.mkv", *exact, 0.5)
    assert (alone.returncode, "set the fidelity to 1" in alone.stderr) == (1, True)
    add_detail_end(weights)
    for share in (0, 0.5, 1):
        assert run("upscale", video, f"{share}.mkv", *exact, share).returncode == 0
    pictures = [read(tmp_path / f"{share}.mkv")[0][0] for share in (0, 0.5, 1)]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])


def test_progress_is_a_line_now_and_then(run: Run, video: Path, weights: Path) -> None:
    lines = run("upscale", video, "out.mp4", "--weights", weights).stderr.splitlines()
    assert lines[-1].startswith("5/5 frames, ")
    assert 1 <= len(lines) <= 11
    assert run("upscale", video, "quiet.mp4", "--weights", weights, "--quiet").stderr == ""


def test_a_video_is_described(run: Run, video: Path) -> None:
    words = run("info", video).stdout
    assert "h264, 32x16, yuv420p, 8 bit" in words
    assert "5 at 25.000 fps" in words
    assert "aac" in words


def test_a_video_is_described_as_json(run: Run, video: Path) -> None:
    found = json.loads(run("info", video, "--json").stdout)
    assert (found["width"], found["height"], found["frames"], found["codec"]) == (32, 16, 5, "h264")
    assert found["frame_rate"] == "25"
    assert [stream["codec"] for stream in found["audio"]] == ["aac"]


def test_weights_are_listed_and_found_in_the_users_folders(
    run: Run, video: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = json.loads(run("weights", "--json").stdout)
    assert shipped == [{"name": s.name, "licence": s.licence, "purpose": s.purpose} for s in SHIPPED]
    monkeypatch.setenv(WEIGHTS_FOLDERS, str(weights.parent))
    assert "tiny.safetensors" in run("weights").stdout
    assert run("upscale", video, "out.mp4", "--weights", weights.name).returncode == 0


def test_pictures_go_into_a_folder_with_their_times(run: Run, video: Path, tmp_path: Path, weights: Path) -> None:
    done = run("upscale", video, "frames", "--weights", weights, "--codec", "png")
    assert (done.returncode, done.stdout.split(" in ")[0]) == (0, "frames: 5 frames of 128x64")
    names = sorted(path.name for path in (tmp_path / "frames").glob("*.png"))
    assert names == [f"frame_{number:06}.png" for number in range(1, 6)]
    with av.open(str(tmp_path / "frames" / names[0])) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (128, 64)
    assert len(list((tmp_path / "frames").iterdir())) > 5
    again = run("upscale", video, "frames", "--weights", weights, "--codec", "png")
    assert again.returncode == 1
    assert "frames" in again.stderr
    assert_only(tmp_path, "in.mp4", "frames")
