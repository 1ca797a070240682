"""The command line as a real process: what it shares with the function, its terminal, Ctrl-C, its start."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from textovsr import cli
from textovsr.tests.helpers.cli import Run, assert_only, command, environ, interruptible, make_video, read
from textovsr.tests.helpers.threads import one_thread as one_thread


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
    make_video(tmp_path / "in.mp4", (96, 64), frames=20)
    small = ("--weights", weights, "--window", 2, "--look-ahead", 1)
    with interruptible("upscale", "in.mp4", "out.mp4", *small, hold=("frame", 2), cwd=tmp_path) as running:
        assert running.stderr is not None
        first = running.stderr.readline()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate()
    assert "frames" in first
    assert running.returncode == cli.INTERRUPTED
    assert errors.endswith("textovsr: stopped; no output was written.\n")
    assert_only(tmp_path, "in.mp4")


def test_help_comes_at_once_and_imports_nothing_heavy() -> None:
    heavy = processor_time([sys.executable, "-c", "import torch"])
    assert processor_time(command("upscale", "--help")) < heavy / 3, "a tenth is usual"
    code = (
        "import sys; from textovsr.cli import build_parser; build_parser();"
        "print([name for name in ('torch', 'numpy', 'av', 'psutil', 'transformers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def processor_time(line: list[str]) -> float:
    """Seconds that a process computes; the clock on the wall would tell how busy the machine is."""
    before = os.times()
    subprocess.run(line, check=True, capture_output=True, env=environ())
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_the_installed_command_is_the_same(process: Run) -> None:
    script = Path(sys.executable).with_name("textovsr.exe" if sys.platform == "win32" else "textovsr")
    help_text = subprocess.run([script, "--help"], check=True, capture_output=True, text=True, env=environ()).stdout
    assert help_text == process("--help").stdout
