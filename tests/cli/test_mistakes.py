"""What a person or a script may get wrong: explained, and nothing is lost or left behind."""

import json
from pathlib import Path

import pytest

from textovsr import cli
from textovsr.models.catalog import SHIPPED
from textovsr.tests.helpers.cli import Run, assert_only, read
from textovsr.tests.helpers.threads import one_thread as one_thread


def test_an_output_that_exists_is_left_alone_before_any_work(run: Run, video: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"mine")
    done = run("upscale", video, "out.mp4", "--weights", "no such weights")
    assert done.returncode == 1
    assert "got out.mp4, which exists; add --overwrite" in done.stderr
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"


def test_an_output_is_replaced_when_asked(run: Run, video: Path, tmp_path: Path, weights: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"mine")
    assert run("upscale", video, "out.mp4", "--weights", weights, "--overwrite").returncode == 0
    assert len(read(tmp_path / "out.mp4")[0]) == 5


def test_an_output_survives_a_failure(run: Run, tmp_path: Path, weights: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(b"not a video")
    (tmp_path / "out.mp4").write_bytes(b"mine")
    assert run("upscale", "in.mp4", "out.mp4", "--weights", weights, "--overwrite").returncode == 1
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"
    assert_only(tmp_path, "in.mp4", "out.mp4")


@pytest.mark.parametrize("output", ["in.mp4", "./in.mp4", "link.mp4"])
def test_the_input_is_never_the_output(run: Run, video: Path, tmp_path: Path, output: str) -> None:
    if output == "link.mp4":
        (tmp_path / output).hardlink_to(video)
    before = video.read_bytes()
    done = run("upscale", video, output, "--overwrite")
    assert done.returncode == 1
    assert "Expected an output other than the input" in done.stderr
    assert video.read_bytes() == before


def test_a_folder_is_no_output(run: Run, video: Path, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    done = run("upscale", video, "results", "--overwrite")
    assert done.returncode == 1
    assert "got the folder results; add a name" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.mp4", "out.mp4"], ["missing.mp4"]),
        (["in.mp4", "out.xyz"], ["out.xyz", ".mp4"]),
        (["in.mp4", "out.mp4", "--codec", "ffv1"], ["ffv1", ".mkv"]),
        (["in.mp4", "nowhere/out.mp4"], ["nowhere"]),
        (["in.mp4", "out.mp4", "--crf", "52"], ["52", "0 (lossless) to 51"]),
        (["in.mp4", "out.mp4", "--height", "65"], ["65", "from 1 to 64"]),
        (["in.mp4", "out.mp4", "--start", "99"], ["in.mp4"]),
        (["in.mp4", "out.mp4", "--window", "-3"], ["-3"]),
        (["in.mp4", "out.mp4", "--tile", "-3"], ["-3"]),
        (["in.mp4", "out.mp4", "--device", "abacus"], ["abacus", "auto"]),
        (["in.mp4", "out.mp4", "--weights", "none"], ["'none'", SHIPPED[0].name]),
        (["in.mp4", "out.mp4", "--weights", "broken.safetensors"], ["broken.safetensors", "download it again"]),
    ],
)
def test_a_mistake_is_explained_and_nothing_is_left(
    run: Run, video: Path, tmp_path: Path, weights: Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "broken.safetensors").write_bytes(weights.read_bytes()[:1000])
    given = arguments if "--weights" in arguments else [*arguments, "--weights", str(weights)]
    done = run("upscale", *given, "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1
    assert f"textovsr: {error}\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert [word for word in words if word not in error] == []
    assert_only(tmp_path, "in.mp4", "broken.safetensors")


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\0" * 4096])
@pytest.mark.parametrize("name", ["upscale", "info"])
def test_what_is_not_a_video_is_named(run: Run, tmp_path: Path, weights: Path, name: str, content: bytes) -> None:
    (tmp_path / "in.mp4").write_bytes(content)
    done = run(name, "in.mp4", *(("out.mp4", "--weights", weights) if name == "upscale" else ()))
    assert done.returncode == 1
    assert "in.mp4" in done.stderr
    assert_only(tmp_path, "in.mp4")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["upscale"],
        ["upscale", "in.mp4"],
        ["upscale", "in.mp4", "out.mp4", "--scale", "3"],
        ["upscale", "in.mp4", "out.mp4", "--codec", "mpeg1"],
        ["upscale", "in.mp4", "out.mp4", "--start", "-1"],
        ["upscale", "in.mp4", "out.mp4", "--duration", "nan"],
        ["upscale", "in.mp4", "out.mp4", "--caption", "@missing.txt"],
        ["downscale"],
    ],
)
def test_wrong_usage_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: textovsr" in capsys.readouterr().err
