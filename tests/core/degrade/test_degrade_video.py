"""A video file, degraded: every frame at its time, its sound, its parameters, and nothing left behind."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from torch import Tensor

from textovsr.core.config import EncodeConfig
from textovsr.core.degrade.config import DegradeConfig
from textovsr.core.degrade.parameters import Degradation
from textovsr.core.degrade.video import FINE, PARAMETERS_TAG, DegradeJob, degrade_video
from textovsr.core.errors import CancelledError, OutputError, SettingError
from textovsr.core.job import Progress, Source
from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.threads import one_thread as one_thread

PTS = (0, 3000, 7500, 9000, 15000, 18000, 21000, 24500, 27000)
LOSSLESS = EncodeConfig(codec="ffv1")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Nine frames of 96x80 at irregular times, with sound."""
    return write_clip(
        tmp_path / "in.mp4",
        Clip(width=96, height=80, pts=PTS, time_base=Fraction(1, 90000), rate=Fraction(30), audio="aac"),
    )


def nothing(progress: Progress) -> None:
    """No report."""


def packets(path: Path) -> list[bytes]:
    """Those of the sound."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    ("preset", "scale", "size"), [("VHS", 1, (96, 80)), ("random", 4, (24, 20)), ("low-bitrate stream", 4, (24, 20))]
)
def test_every_frame_keeps_its_time_and_the_sound_stays(
    clip: Path, tmp_path: Path, preset: str, scale: int, size: tuple[int, int]
) -> None:
    seen: list[int] = []
    config = DegradeConfig(preset, 5, scale, drift=0.5)
    done = degrade_video(
        Source(clip), tmp_path / "out.mp4", DegradeJob(config), lambda progress: seen.append(progress.done)
    )
    info = probe(done.path)
    assert (info.width, info.height) == size
    assert [frame.pts * info.time_base * 90000 for frame in VideoReader(done.path)] == list(PTS)
    assert packets(done.path) == packets(clip)
    assert seen == list(range(1, 10)) == list(range(1, done.frames + 1))
    assert Degradation.from_json(info.metadata[PARAMETERS_TAG]) == done.degradation
    assert done.degradation == Degradation.sample(config, (80, 96))
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "out.mp4"}


def test_the_file_holds_what_the_parameters_say(clip: Path, tmp_path: Path) -> None:
    """Within the rounding to eight bits of YUV."""
    config = DegradeConfig("old film", 3)
    done = degrade_video(Source(clip), tmp_path / "out.mkv", DegradeJob(config, LOSSLESS), nothing)
    again = done.degradation.run(frame.image for frame in VideoReader(clip))
    for stored, made in zip(VideoReader(done.path), again, strict=True):
        assert float((stored.image - made).abs().max()) < 3.5 / 255


def test_two_runs_make_one_file(clip: Path, tmp_path: Path) -> None:
    job = DegradeJob(DegradeConfig("webcam", 8))
    paths = [degrade_video(Source(clip), tmp_path / f"{name}.mp4", job, nothing).path for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_part_can_be_taken(clip: Path, tmp_path: Path) -> None:
    done = degrade_video(Source(clip, 0.1, 0.15), tmp_path / "out.mp4", DegradeJob(), nothing)
    assert done.frames == sum(9000 <= pts < 22500 for pts in PTS)


def test_a_cancelled_run_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise CancelledError("enough")

    with pytest.raises(CancelledError, match="enough"):
        degrade_video(Source(clip), tmp_path / "out.mp4", DegradeJob(DegradeConfig("VHS")), nothing, check)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_long_videos_do_not_pile_up() -> None:
    """Frames that have been taken and not given back, over 300 of them, through two encoders with look-ahead."""
    degradation = Degradation.sample(DegradeConfig("random", 6, 4, 0.3), (64, 64))
    taken = most = given = 0
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))

    def frames() -> Iterator[Tensor]:
        nonlocal taken
        while taken < 300:
            taken += 1
            yield image

    for given, _ in enumerate(degradation.run(frames()), 1):
        most = max(most, taken - given)
    assert given == 300
    assert most < 80


@pytest.mark.parametrize(
    ("name", "job", "error", "message"),
    [
        ("out.mp4", DegradeJob(encode=replace(FINE, codec="png")), OutputError, "Expected a codec for a video file"),
        ("no/out.mp4", DegradeJob(), OutputError, "to write to, found none"),
        ("out.txt", DegradeJob(), OutputError, "got .*out.txt"),
        ("out.mp4", DegradeJob(DegradeConfig(scale=4)), SettingError, "at least 16 pixels a side, got 12x8"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, name: str, job: DegradeJob, error: type[Exception], message: str
) -> None:
    small = write_clip(tmp_path / "small.mp4", Clip(width=48, height=32, pts=range(2)))
    with pytest.raises(error, match=message):
        degrade_video(Source(small), tmp_path / name, job, nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["small.mp4"]
