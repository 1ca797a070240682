"""The command line as a person or a script meets it: a real process, small videos, a tiny network."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from textovsr import cli
from textovsr.cli.weights import WEIGHTS_FOLDERS
from textovsr.models.catalog import SHIPPED
from textovsr.tests.helpers.cli import command, environ, make_video
from textovsr.tests.helpers.networks import add_detail_end, save_tiny
from textovsr.tests.helpers.threads import one_thread as one_thread

Run = Callable[..., subprocess.CompletedProcess[str]]
"""Runs ``textovsr`` with these arguments in the test's own folder."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a tiny network."""
    return save_tiny(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """As a process: the whole truth, but it takes seconds to start."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), cwd=tmp_path, env=environ(), capture_output=True, text=True, timeout=120
        )

    return run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """As a function."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(WEIGHTS_FOLDERS, raising=False)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(command(*arguments), code, *capsys.readouterr())

    return run


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five frames of 32x16."""
    return make_video(tmp_path / "in.mp4")


def read(path: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The frames (H,W,3) of a video, and a few of its properties."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        found = {"codec": stream.codec_context.name, "format": stream.codec_context.pix_fmt}
        return frames, {**found, "sounds": len(container.streams.audio), "size": frames[0].shape[1::-1]}


def assert_only(folder: Path, *names: str) -> None:
    """Nothing else is left in a folder."""
    assert {entry.name for entry in folder.iterdir()} == set(names)


def test_the_process_does_what_the_function_does(
    process: Run, run: Run, tmp_path: Path, video: Path, weights: Path
) -> None:
    arguments = ("--weights", weights, "--codec", "ffv1")
    done = process("upscale", video, "a.mkv", *arguments)
    assert (done.returncode, done.stdout.split(" in ")[0]) == (0, "a.mkv: 5 frames of 128x64")
    assert run("upscale", video, "b.mkv", *arguments).returncode == 0
    assert np.array_equal(read(tmp_path / "a.mkv")[0], read(tmp_path / "b.mkv")[0])


def test_the_process_ends_with_the_functions_code(process: Run) -> None:
    done = process("upscale", "missing.mp4", "out.mp4", "--json", "--weights", "none")
    assert done.returncode == 1
    assert done.stderr == f"textovsr: {json.loads(done.stdout)['error']}\n"
    assert process("upscale", "in.mp4").returncode == 2


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
    assert "got the folder results; add a name such as" in done.stderr


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


def test_progress_is_a_line_now_and_then(run: Run, video: Path, weights: Path) -> None:
    lines = run("upscale", video, "out.mp4", "--weights", weights).stderr.splitlines()
    assert lines[-1].startswith("5/5 frames, ")
    assert 1 <= len(lines) <= 11
    assert run("upscale", video, "quiet.mp4", "--weights", weights, "--quiet").stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of Unix")
def test_on_a_terminal_progress_is_one_line_drawn_over(video: Path, tmp_path: Path, weights: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    arguments = command("upscale", video, "out.mp4", "--weights", weights)
    with subprocess.Popen(arguments, cwd=tmp_path, env=environ(), stdout=subprocess.DEVNULL, stderr=theirs):
        os.close(theirs)
        drawn = b""
        while chunk := _read_terminal(ours):
            drawn += chunk
    os.close(ours)
    pictures = drawn.decode().split("\r")[1:]
    assert pictures[-1] == "\n"
    assert pictures[-2].startswith("[########################] 5/5 frames, ")
    assert len({len(picture) for picture in pictures[:-1]}) == 1


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux's word for the other end having been closed
        return b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_an_interrupt_leaves_nothing(tmp_path: Path, weights: Path) -> None:
    make_video(tmp_path / "in.mp4", (96, 64), frames=400)
    with subprocess.Popen(
        command("upscale", "in.mp4", "out.mp4", "--weights", weights, "--window", 2, "--look-ahead", 1),
        cwd=tmp_path,
        env=environ(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as running:
        assert running.stderr is not None
        first = running.stderr.readline()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert "frames" in first
    assert running.returncode == cli.INTERRUPTED
    assert errors.endswith("textovsr: stopped; no output was written.\n")
    assert_only(tmp_path, "in.mp4")


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


def test_help_comes_at_once_and_imports_nothing_heavy() -> None:
    began = time.monotonic()
    subprocess.run(command("upscale", "--help"), check=True, capture_output=True, env=environ())
    assert time.monotonic() - began < 2  # 0.1 s on an idle machine
    code = (
        "import sys; from textovsr.cli import build_parser; build_parser();"
        "print([name for name in ('torch', 'numpy', 'av', 'psutil', 'transformers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_the_installed_command_is_the_same(process: Run) -> None:
    script = Path(sys.executable).with_name("textovsr.exe" if sys.platform == "win32" else "textovsr")
    help_text = subprocess.run([script, "--help"], check=True, capture_output=True, text=True, env=environ()).stdout
    assert help_text == process("--help").stdout


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
