"""A small video with cuts, irregular times and sound, for jobs that are going to be disturbed."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from textovsr.core.config import EncodeConfig
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.tests.faults.forker import Forker
from textovsr.tests.helpers.frames import decoded
from textovsr.tests.helpers.restorers import Trail

FRAMES = 90

JOB = Job(encode=EncodeConfig(crf=18), segment=8)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 frames of 48x32 of moving blocks, with two cuts."""
    path = tmp_path_factory.mktemp("source") / "in.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=16000, layout="mono")
        scene, pts = np.zeros((32, 96, 3), np.uint8), 0
        for index in range(FRAMES):
            if index in (0, 31, 70):
                scene = np.kron(rng.integers(0, 255, (4, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene[:, index % 48 :][:, :48]), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            pts += int(rng.integers(20, 90))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 16000, 0
        container.mux(sound.encode(tone))
        container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="package")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    """What an undisturbed run of ``JOB`` gives."""
    output = tmp_path_factory.mktemp("expected") / "out.mp4"
    restore_video(Source(source), Trail(), output, JOB, lambda _: None)
    return decoded(output)


@pytest.fixture(scope="package")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    """Runs jobs in children of its own."""
    with Forker(tmp_path_factory.mktemp("told")) as running:
        yield running
