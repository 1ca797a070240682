"""From a video to latents and from frames to a video: every frame at its time, all or nothing."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from textovsr.core.codec import SourceSize
from textovsr.core.config import EncodeConfig
from textovsr.core.errors import EmptyVideoError, OutputError, SettingError
from textovsr.core.from_frames import FramesJob, video_from_frames
from textovsr.core.job import Progress, Source
from textovsr.core.latents import LatentStore
from textovsr.core.to_latents import encode_stream, encode_video
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.clips import Clip, numbered, read_number, write_clip
from textovsr.tests.helpers.frames import packets

TIMES = (0, 2, 3, 7, 8, 9, 13, 14)
CLIP = Clip(pts=TIMES, audio="aac", time_base=Fraction(1, 50), rate=Fraction(50))
LOSSLESS = EncodeConfig(codec="ffv1")


class Halves:
    """An autoencoder that takes the mean of 2x2 pixels, and repeats it."""

    ratio, encode_context, decode_context = 1, 0, (0, 0)

    def factor(self) -> int:
        return 2

    def encode(self, frames: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(frames, 2)

    def decode(self, latents: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(latents, scale_factor=2)

    def encode_length(self, height: int, width: int) -> int:
        return 3

    decode_length = encode_length

    def shrink(self) -> bool:
        return False


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames of 64x32 that carry their numbers, at uneven times, with a sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", CLIP)


def pictures(count: int, width: int = 128, height: int = 64) -> Iterator[Tensor]:
    for number in range(count):
        yield torch.from_numpy(numbered(number, width, height)).permute(2, 0, 1) / 255


def ignore(progress: Progress) -> None:
    """Nobody looks."""


def test_each_frame_has_the_time_of_the_source_s(clip: Path, tmp_path: Path) -> None:
    reports: list[Progress] = []
    output = tmp_path / "made.mp4"
    made = video_from_frames(pictures(8), output, FramesJob(8), Source(clip), reports.append)
    with VideoReader(made.path) as reader:
        frames = list(reader)
        assert (reader.info.width, reader.info.height) == (128, 64)
        assert [frame.pts * reader.info.time_base for frame in frames] == [Fraction(time, 50) for time in TIMES]
    assert [read_number(frame.image) for frame in frames] == list(range(8))
    assert packets(output) == packets(clip)
    assert [(report.done, report.total) for report in reports] == [(done, 8) for done in range(1, 9)]
    assert list(tmp_path.iterdir()) == [output]


def test_a_part_of_the_source(clip: Path, tmp_path: Path) -> None:
    part = Source(clip, start=2 / 50, duration=8 / 50)
    made = video_from_frames(pictures(5), tmp_path / "part.mp4", FramesJob(5), part, ignore)
    with VideoReader(made.path) as reader:
        seconds = [frame.pts * reader.info.time_base for frame in reader]
    assert [second - seconds[0] for second in seconds] == [Fraction(time - 2, 50) for time in (2, 3, 7, 8, 9)]


def test_without_a_source_the_rate_is_constant(tmp_path: Path) -> None:
    job = FramesJob(4, frame_rate=Fraction(24000, 1001))
    made = video_from_frames(pictures(4, 33, 17), tmp_path / "plain.mp4", job, None, ignore)
    with VideoReader(made.path) as reader:
        assert [frame.pts * reader.info.time_base for frame in reader] == [Fraction(1001, 24000) * i for i in range(4)]
        assert (reader.info.width, reader.info.height) == (33, 17)


@pytest.mark.parametrize("count", [7, 9])
def test_another_number_of_frames_is_refused_before_the_work(clip: Path, tmp_path: Path, count: int) -> None:
    def none_is_asked_for() -> Iterator[Tensor]:
        raise AssertionError
        yield

    with pytest.raises(SettingError, match=f"a source of {count} frames.* with 8"):
        video_from_frames(none_is_asked_for(), tmp_path / "no.mp4", FramesJob(count), Source(clip), ignore)
    assert not list(tmp_path.iterdir())


def test_what_goes_wrong_on_the_way_leaves_no_file(clip: Path, tmp_path: Path) -> None:
    def broken() -> Iterator[Tensor]:
        yield from pictures(3)
        raise MemoryError("enough")

    with pytest.raises(MemoryError, match="enough"):
        video_from_frames(broken(), tmp_path / "no.mp4", FramesJob(8), Source(clip), ignore)
    assert not list(tmp_path.iterdir())


def test_pictures_in_a_folder_are_no_video(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="got png"):
        video_from_frames(pictures(8), tmp_path / "x", FramesJob(8, EncodeConfig(codec="png")), Source(clip), ignore)


def test_colours_need_a_source(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="a source to fix colours by"):
        video_from_frames(pictures(2), tmp_path / "x.mp4", FramesJob(2, color_fix="adain"), None, ignore)


def test_the_colours_are_those_of_the_frame_at_that_time(clip: Path, tmp_path: Path) -> None:
    """Frames of another brightness get back their own frame's, not a neighbour's."""
    dimmed = (0.3 + 0.2 * image for image in pictures(8))
    made = video_from_frames(dimmed, tmp_path / "x.mkv", FramesJob(8, LOSSLESS, "adain"), Source(clip), ignore)
    with VideoReader(made.path) as reader, VideoReader(clip) as source:
        for found, expected in zip(reader, source, strict=True):
            torch.testing.assert_close(found.image.mean(), expected.image.mean(), rtol=0, atol=0.01)


def test_a_video_is_encoded_chunk_by_chunk(clip: Path, tmp_path: Path) -> None:
    reports: list[Progress] = []
    with LatentStore(tmp_path, 0) as store:
        latents, size = encode_video(Source(clip), Halves(), store, reports.append, lambda: None)
    with VideoReader(clip) as reader:
        whole = torch.stack([frame.image for frame in reader])
    torch.testing.assert_close(latents, torch.nn.functional.avg_pool2d(whole, 2), rtol=0, atol=0)
    assert size == SourceSize(32, 64, 8, 32, 64)
    assert [(report.done, report.total) for report in reports] == [(3, 8), (6, 8), (8, 8)]


def test_an_odd_size_and_an_empty_stream(tmp_path: Path) -> None:
    tools = (Halves(), LatentStore(tmp_path, 10**6))
    latents, size = encode_stream(pictures(2, 33, 17), 2, tools, ignore, lambda: None)
    assert (latents.shape, size) == ((2, 3, 9, 17), SourceSize(17, 33, 2, 18, 34))
    with pytest.raises(EmptyVideoError, match="at least one frame"):
        encode_stream(iter([]), 0, tools, ignore, lambda: None)
    mixed = [torch.zeros(3, 8, 8), torch.zeros(3, 8, 10)]
    with pytest.raises(SettingError, match="frames of"):
        encode_stream(mixed, 2, tools, ignore, lambda: None)
