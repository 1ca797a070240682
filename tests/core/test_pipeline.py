"""The pipeline around a restorer: sizes, times, texts, progress, and what is left when it stops."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.config import EncodeConfig, ResultConfig
from textovsr.core.errors import CancelledError, EncoderError, SettingError, VideoNotFoundError
from textovsr.core.finish import finish_frame, output_size
from textovsr.core.job import Job, Progress, Source
from textovsr.core.pipeline import restore_frames, restore_video
from textovsr.core.restoration import Result, ShotFrame
from textovsr.core.video.color import BT709, ColorTags
from textovsr.core.video.cuts import DELAY
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.writer import VideoWriter
from textovsr.tests.helpers.restorers import Enlarge

TICKS = (3, 4, 6, 10, 11)
"""Irregular times of five frames, at 25 ticks a second."""


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five frames of 32x16, lossless, with irregular times."""
    tags = ColorTags(BT709, BT709, BT709, full_range=False)
    spec = VideoSpec(32, 16, Fraction(1, 25), Fraction(25), Fraction(1), tags)
    with VideoWriter(tmp_path / "in.mkv", spec, EncodeConfig(codec="ffv1")) as writer:
        for index, tick in enumerate(TICKS):
            writer.write(torch.full((3, 16, 32), 0.2 + 0.1 * index), tick, 1)
    return tmp_path / "in.mkv"


def nothing(_: Progress) -> None:
    """Report to nobody."""


@given(width=st.integers(16, 4000), height=st.integers(16, 4000), scale=st.sampled_from([2, 4]))
def test_a_scale_is_exact(width: int, height: int, scale: int) -> None:
    assert output_size(width, height, ResultConfig(scale=scale)) == (scale * width, scale * height)  # type: ignore[arg-type]


@given(width=st.integers(16, 4000), height=st.integers(16, 4000), share=st.floats(0, 1))
def test_a_height_keeps_the_shape_with_an_even_width(width: int, height: int, share: float) -> None:
    wanted = max(round(4 * height * share), 1)
    found = output_size(width, height, ResultConfig(height=wanted))
    assert found[1] == wanted
    assert found[0] % 2 == 0
    assert found[0] == 2 or abs(found[0] - width * wanted / height) <= 1


@pytest.mark.parametrize("height", [-1, 65, 10_000])
def test_a_height_out_of_range_is_named(height: int) -> None:
    with pytest.raises(SettingError, match=rf"height from 1 to 64 .*, got {height}; choose 0 for x4"):
        output_size(32, 16, ResultConfig(height=height))


@given(frames=st.integers(0, 12), length=st.integers(1, 5), look_ahead=st.integers(0, 5))
def test_as_many_frames_come_out_as_came_in(frames: int, length: int, look_ahead: int) -> None:
    clip = torch.rand(frames, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    out = list(restore_frames(((image, 0.0) for image in clip), Enlarge(length, look_ahead), Job()))
    assert len(out) == frames
    assert all(
        torch.equal(image, F.interpolate(lr[None], scale_factor=4)[0]) for image, lr in zip(out, clip, strict=True)
    )


def test_frames_are_drawn_only_as_needed() -> None:
    drawn = 0

    def stream() -> Iterator[tuple[Tensor, float]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield torch.zeros(3, 8, 8), float(drawn)

    results = restore_frames(stream(), Enlarge(4, 2), Job())
    for count in range(1, 40):
        next(results)
        assert drawn <= count + 4 + 2 + 1 + DELAY


@pytest.mark.parametrize(
    ("result", "size"),
    [
        (ResultConfig(), (32, 48)),
        (ResultConfig(scale=2), (16, 24)),
        (ResultConfig(height=20), (20, 30)),
        (ResultConfig(height=8), (8, 12)),
    ],
)
def test_the_result_has_the_size_asked_for(result: ResultConfig, size: tuple[int, int]) -> None:
    (image,) = restore_frames([(torch.full((3, 8, 12), 0.3), 0.0)], Enlarge(), Job(result=result))
    assert image.shape == (3, *size)
    torch.testing.assert_close(image, torch.full_like(image, 0.3))


def test_half_the_size_is_the_average() -> None:
    image = torch.arange(3 * 32 * 48.0).view(3, 32, 48) / 5000
    result = Result(image, ShotFrame(torch.rand(3, 8, 12)))
    expected = image.view(3, 16, 2, 24, 2).mean(dim=(2, 4))
    torch.testing.assert_close(finish_frame(result, ResultConfig(scale=2), (24, 16)), expected)


def test_each_frame_gets_the_texts_of_its_time() -> None:
    restorer = Enlarge()
    job = Job("WEBVTT\n\n00:00.000 --> 00:01.000\na cat\n\n00:01.000 --> 00:02.000\na dog", "light noise")
    list(restore_frames(((torch.zeros(3, 8, 8), second) for second in (0.0, 0.96, 1.0, 9.0)), restorer, job))
    assert restorer.prompts == ["a cat, light noise"] * 2 + ["a dog, light noise"] * 2


def test_every_frame_keeps_its_time(video: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    restored = restore_video(Source(video), Enlarge(), output, Job(encode=EncodeConfig(codec="ffv1")), nothing)
    assert (restored.path, restored.frames, restored.width, restored.height) == (output, 5, 128, 64)
    with VideoReader(video) as before, VideoReader(output) as after:
        old = [(frame.pts * before.info.time_base, frame.image.mean()) for frame in before]
        new = [(frame.pts * after.info.time_base, frame.image.mean()) for frame in after]
    assert [time for time, _ in new] == [time for time, _ in old]
    assert [float(mean) for _, mean in new] == pytest.approx([float(mean) for _, mean in old], abs=0.01)


def test_a_part_is_taken(video: Path, tmp_path: Path) -> None:
    part = Source(video, start=1 / 25, duration=7 / 25)
    restorer = Enlarge()
    restored = restore_video(part, restorer, tmp_path / "out.mkv", Job(encode=EncodeConfig(codec="ffv1")), nothing)
    assert restored.frames == 3
    assert restorer.shots == 1


def test_progress_is_told_after_every_frame(video: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    restore_video(Source(video), Enlarge(), tmp_path / "out.mkv", Job(), told.append)
    assert [progress.done for progress in told] == [1, 2, 3, 4, 5]
    assert all(progress.newest.shape == (3, 64, 128) for progress in told)
    assert [p.seconds for p in told] == sorted(p.seconds for p in told)


@pytest.mark.parametrize(
    ("done", "total", "seconds", "words"),
    [
        (5, 41, 2.0, "5/41 frames, 2.50 fps, 0:14 left"),
        (41, 41, 2.0, "41/41 frames, 20.50 fps, 0:00 left"),
        (50, 41, 2.0, "50/50 frames, 25.00 fps, 0:00 left"),
        (5, None, 2.0, "5/? frames, 2.50 fps"),
        (1, 7322, 1.0, "1/7322 frames, 1.00 fps, 2:02:01 left"),
    ],
)
def test_progress_in_words(done: int, total: int | None, seconds: float, words: str) -> None:
    assert str(Progress(done, total, seconds, torch.zeros(3, 1, 1))) == words


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_cancelling_leaves_nothing(video: Path, tmp_path: Path, stop: int) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise CancelledError

    with pytest.raises(CancelledError):
        restore_video(Source(video), Enlarge(), tmp_path / "out.mkv", Job(), nothing, check)
    assert [entry.name for entry in tmp_path.iterdir()] == [video.name]


def test_a_failure_leaves_an_older_result_alone(video: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"older")
    with pytest.raises(SettingError, match="height"):
        restore_video(Source(video), Enlarge(), output, Job(result=ResultConfig(height=9999)), nothing)
    assert output.read_bytes() == b"older"


def test_what_cannot_be_written_is_said_before_reading(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="ffv1"):
        restore_video(
            Source(tmp_path / "none.mp4"),
            Enlarge(),
            tmp_path / "o.mp4",
            Job(encode=EncodeConfig(codec="ffv1")),
            nothing,
        )
    with pytest.raises(VideoNotFoundError, match=r"none\.mp4"):
        restore_video(Source(tmp_path / "none.mp4"), Enlarge(), tmp_path / "o.mp4", Job(), nothing)
