"""Motion while streaming: the same as of the whole, read once, honest about cuts and ends."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import CancelledError, SettingError, ShapeError, VideoNotFoundError
from textovsr.core.job import Source
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.motion.config import MotionConfig
from textovsr.core.motion.source import ImageMotion, StreamedMotion, VideoMotion
from textovsr.core.video.color import BT709, ColorTags
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.writer import VideoWriter
from textovsr.tests.core.motion.moving import Numbered, numbered, panning, ready, texture

UNCUT = MotionConfig(cut_threshold=1.0)
GRID = (4, 6)


class Counted(StreamedMotion):
    """Frames that count how often, and how far, they are read."""

    length, size = 0, (0, 0)

    def __init__(self, frames: Tensor, config: MotionConfig = UNCUT) -> None:
        self.begun: list[int] = []
        self.read = 0
        self._images = frames
        super().__init__(self._begin, lambda: ready(Numbered()), config, lambda: None)

    def _begin(self, skip: int) -> Iterator[Tensor]:
        self.begun.append(skip)
        for image in self._images[skip:]:
            self.read += 1
            yield image


def same(a: ClipMotion, b: ClipMotion) -> bool:
    return all(torch.equal(vars(a)[name], vars(b)[name]) for name in vars(a))


def speeds(motion: ClipMotion) -> list[float]:
    """How many frames each pair spans."""
    return [float(flow[0].mean()) * 100 / motion.size[1] for flow in motion.forward_flow]


@given(
    frames=st.integers(1, 30),
    length=st.integers(1, 9),
    overlap=st.integers(0, 8),
    step=st.integers(1, 5),
)
def test_windows_are_parts_of_the_whole_and_the_stream_is_read_once(
    frames: int, length: int, overlap: int, step: int
) -> None:
    total = (frames - 1) // step + 1
    whole = ImageMotion(numbered(frames), lambda: ready(Numbered()), UNCUT).between(0, total, GRID, step)
    source = Counted(numbered(frames))
    for start in range(0, total, max(length - overlap, 1)):
        stop = min(start + length, total)
        assert same(source.between(start, stop, GRID, step), whole.frames(start, stop))
    assert source.begun == [0]
    assert source.read <= frames


def test_a_step_goes_from_one_latent_frame_to_the_next() -> None:
    source = ImageMotion(numbered(17), lambda: ready(Numbered()), UNCUT)
    assert speeds(source.between(0, 5, GRID, 4)) == pytest.approx([4] * 4)
    assert speeds(source.between(0, 5, GRID)) == pytest.approx([1] * 4)


@pytest.mark.parametrize("frames", [14, 15, 16])
def test_what_a_last_latent_frame_has_too_much_repeats_the_last_frame(frames: int) -> None:
    source = Counted(numbered(frames))
    for _ in range(2):
        assert speeds(source.between(0, 5, GRID, 4)) == pytest.approx([4, 4, 4, frames - 13])
    assert speeds(source.between(3, 5, GRID, 4)) == pytest.approx([frames - 13])
    assert source.between(4, 5, GRID, 4).length == 1


def test_a_video_that_is_a_whole_latent_frame_too_short_is_refused() -> None:
    with pytest.raises(SettingError, match="up to frame 16"):
        Counted(numbered(13)).between(0, 5, GRID, 4)


@pytest.mark.parametrize(("start", "stop", "frame"), [(0, 6, 5), (5, 7, 6), (40, 41, 40)])
def test_frames_after_the_end_are_refused(start: int, stop: int, frame: int) -> None:
    source = Counted(numbered(5))
    source.between(0, 5, GRID)
    with pytest.raises(SettingError, match=rf"up to frame {frame}, counted from 0, got a video that ends before"):
        source.between(start, stop, GRID)
    assert source.between(3, 5, GRID).length == 2


@pytest.mark.parametrize(("start", "stop", "step"), [(-1, 2, 1), (2, 2, 1), (0, 2, 0)])
def test_impossible_parts_are_refused(start: int, stop: int, step: int) -> None:
    with pytest.raises(SettingError, match="start < stop"):
        Counted(numbered(5)).between(start, stop, GRID, step)


def test_going_back_begins_again_and_far_ahead_skips() -> None:
    source = Counted(numbered(30))
    source.between(20, 22, GRID)
    assert source.begun == [15]
    assert source.read == 7
    assert speeds(source.between(2, 4, GRID)) == pytest.approx([1])
    assert source.begun == [15, 0]


def test_only_the_latest_part_is_kept() -> None:
    source = Counted(numbered(60))
    for start in range(0, 56, 4):
        source.between(start, start + 4, GRID)
        assert len(source._kept) <= 5
    source.close()
    assert not source._kept
    assert source.between(0, 2, GRID).length == 2


def test_what_was_cancelled_begins_again() -> None:
    stop = [True]

    def check() -> None:
        if stop[0]:
            raise CancelledError("stop")

    source = ImageMotion(numbered(5), lambda: ready(Numbered()), UNCUT, check)
    with pytest.raises(CancelledError):
        source.between(0, 5, GRID)
    stop[0] = False
    assert source.between(0, 5, GRID).length == 5


@pytest.mark.parametrize("frames", [1, 5, 8, 9, 30])
def test_it_can_be_asked_how_many_frames_there_are(frames: int) -> None:
    source = Counted(numbered(frames))
    assert source.reach(0, 8) == min(frames, 8)
    source.between(0, min(frames, 8), GRID)
    assert source.reach(0, 9) == min(frames, 9)
    assert source.begun == [0]


def two_shots() -> Tensor:
    """A cut at frame 7 of 14."""
    return torch.cat([panning(7, 1, 0, (64, 96), seed=3), 1 - panning(7, -1, 0, (64, 96), seed=9)])


def difference_net(reference: Tensor, support: Tensor) -> Tensor:
    return 3 * (support - reference)[:, :2]


def slow_net(reference: Tensor, support: Tensor) -> Tensor:
    return torch.full_like(reference[:, :2], 0.2)


@pytest.mark.parametrize(("step", "pair"), [(1, 6), (3, 2), (4, 1)])
def test_nothing_is_seen_across_a_cut(step: int, pair: int) -> None:
    count = 13 // step + 1
    source = ImageMotion(two_shots(), lambda: ready(slow_net), MotionConfig())
    motion = source.between(0, count, (64, 96), step)
    for name in ("forward_occluded", "backward_occluded"):
        everywhere = [bool(mask.all()) for mask in vars(motion)[name]]
        assert everywhere == [i == pair for i in range(count - 1)]
    assert not motion.forward_flow[pair].any()
    assert not motion.backward_flow[pair].any()
    assert bool(motion.forward_flow[pair - 1].all())
    later = source.between(pair, count, (64, 96), step)
    assert bool(later.forward_occluded[0].all())
    uncut = ImageMotion(two_shots(), lambda: ready(slow_net), UNCUT).between(0, count, (64, 96), step)
    assert bool(uncut.forward_flow[pair].all())


def write(clip: Tensor, path: Path) -> Path:
    rgb = ColorTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=True)
    rate = Fraction(25)
    spec = VideoSpec(
        width=clip.shape[3], height=clip.shape[2], time_base=1 / rate, frame_rate=rate,
        sample_aspect_ratio=Fraction(1), color=rgb, bit_depth=10,
    )  # fmt: skip
    with VideoWriter(path, spec, EncodeConfig(codec="ffv1")) as writer:
        for index, image in enumerate(clip):
            writer.write(image, index, 1)
    return path


def test_a_video_moves_as_its_frames_do(tmp_path: Path) -> None:
    clip = two_shots()
    path = write(clip, tmp_path / "clip.mkv")
    video = VideoMotion(Source(path), lambda: ready(difference_net), MotionConfig())
    images = ImageMotion(clip, lambda: ready(difference_net), MotionConfig())
    assert (video.length, video.size) == (images.length, images.size) == (14, (64, 96))
    whole, part = images.between(0, 14, (8, 12)), video.between(5, 9, (8, 12))
    assert (part.forward_occluded != whole.frames(5, 9).forward_occluded).float().mean() < 0.02
    assert bool(part.forward_occluded[1].all())
    torch.testing.assert_close(part.forward_flow, whole.frames(5, 9).forward_flow, rtol=0, atol=0.02)
    video.close()
    trimmed = VideoMotion(Source(path, 0.2, 0.16), lambda: ready(difference_net), MotionConfig())
    assert trimmed.length == 4
    assert same(trimmed.between(0, 4, (8, 12)), part)
    trimmed.close()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoNotFoundError):
        VideoMotion(Source(tmp_path / "none.mkv"), lambda: ready(Numbered()), MotionConfig())
    with pytest.raises(ShapeError, match=r"Expected frames \(T,3,H,W\)"):
        ImageMotion(texture(8, 8), lambda: ready(Numbered()), MotionConfig())


@pytest.mark.parametrize(("name", "value"), [("side", 8), ("finer", 0), ("finer", 3), ("cut_threshold", 0.0)])
def test_settings_have_limits(name: str, value: float) -> None:
    with pytest.raises(SettingError, match="Expected"):
        MotionConfig(**{name: value})  # type: ignore[arg-type]
