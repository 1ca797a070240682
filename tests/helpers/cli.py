"""What the tests of the command line share."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from textovsr.cli.weights import WEIGHTS_FOLDERS

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs ``textovsr`` with these arguments in the test's own folder."""


def command(*arguments: object) -> list[str]:
    """The process's command line."""
    return [sys.executable, "-m", "textovsr", *map(str, arguments)]


def environ() -> dict[str, str]:
    """Its environment."""
    kept = {name: value for name, value in os.environ.items() if name != WEIGHTS_FOLDERS}
    return {**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


class Running(subprocess.Popen[str]):
    """A running ``textovsr``; a failing test does not wait for its end."""

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


def interruptible(*arguments: object, hold: tuple[str, int] | None = None, **options: Any) -> Running:
    """A running ``textovsr`` that is told of SIGINT, which a shell's background jobs ignore; its stderr is a pipe.

    Args:
        arguments: of the command line.
        hold: where it waits, so that it is certainly at work: see ``tests/cli/held.py``.
        options: of ``Popen``.
    """
    held = [sys.executable, "-m", "textovsr.tests.cli.held", *map(str, (*(hold or ()), *arguments))]
    return Running(
        held if hold else command(*arguments),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **{"env": environ(), **options},
    )


def make_video(path: Path, size: tuple[int, int] = (32, 16), frames: int = 5) -> Path:
    """A video of (width, height) at 25 frames a second; in mp4 with sound."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for _ in range(frames):
            image = rng.integers(64, 192, (size[1], size[0], 3), dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for index in range(frames * 1920 // 1024):
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = 48000, index * 1024, Fraction(1, 48000)
            container.mux(sound.encode(tone))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


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
