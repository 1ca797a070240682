"""A video's degradations shot by shot: times, texts, places, and what it costs."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.degrade.describe import DescribeConfig, VideoDescription, describe_source
from textovsr.core.degrade.estimator import ATTRIBUTES, LEVELS
from textovsr.core.errors import SettingError, VideoNotFoundError
from textovsr.core.job import Source
from textovsr.core.text.vtt import parse_text
from textovsr.tests.helpers.clips import Clip, write_clip

CUT = 24
LENGTH = 40


def drawn(number: int, clip: Clip) -> av.VideoFrame:
    """A dark scene, and from frame CUT on a bright one; both of large blocks that stand still."""
    rng = np.random.default_rng(number >= CUT)
    blocks = rng.integers(0, 120, (4, 8, 1), dtype=np.uint8) + (120 if number >= CUT else 0)
    picture = np.repeat(blocks.repeat(8, 0).repeat(8, 1), 3, axis=2).astype(np.uint8)
    return av.VideoFrame.from_ndarray(picture, format="rgb24")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots, 24 and 16 frames of 64x32 at 25 fps; the times are uneven in the second."""
    times = [*range(CUT), *(CUT + 2 * i for i in range(LENGTH - CUT))]
    clip = Clip(pts=times, draw=drawn, time_base=Fraction(1, 25))
    return write_clip(tmp_path_factory.mktemp("describe") / "two.mkv", clip)


class Eye:
    """A judge that calls dark pictures noisy and bright ones blurred, and remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def judge(self, frames: Tensor) -> Tensor:
        self.seen.append(frames.mean(dim=(1, 2, 3)))
        exceeds = torch.zeros(5, 3)
        exceeds[0 if frames.mean() > 0.5 else 2] = torch.tensor([1.0, 1.0, 0.0])
        return exceeds


def described(video: Path, eye: Eye, config: DescribeConfig | None = None, **part: float) -> VideoDescription:
    return describe_source(Source(video, **part), eye, config)  # type: ignore[arg-type]


def test_every_shot_has_its_text_at_its_times(video: Path) -> None:
    found = described(video, Eye())
    assert [(shot.start, shot.end, shot.frames) for shot in found.shots] == [
        (0.0, pytest.approx(0.96), 24),
        (pytest.approx(0.96), pytest.approx(2.2, abs=0.05), 16),
    ]
    texts = [shot.estimate.text for shot in found.shots]
    assert texts == ["downsample, medium noise", "medium blur, downsample"]
    assert found.webvtt.startswith("WEBVTT\n\nNOTE The whole video: ")
    read = parse_text(found.webvtt)
    assert [cue.text for cue in read.cues] == texts
    assert (read.at(0.0), read.at(0.92), read.at(0.96), read.at(99.0)) == (texts[0], texts[0], texts[1], texts[1])


def test_the_longer_shot_counts_more(video: Path) -> None:
    whole = described(video, Eye()).overall
    assert whole.as_dict()["noise"]["medium"] == pytest.approx(0.6)
    assert whole.as_dict()["blur"]["medium"] == pytest.approx(0.4)
    tail = described(video, Eye(), start=0.8)
    assert tail.overall.text == "medium blur, downsample"
    assert tail.shots[0].start == pytest.approx(0.8)  # on the video's own timeline, as the upscaler reads it


def test_without_cuts_there_is_one_shot(video: Path) -> None:
    (shot,) = described(video, Eye(), DescribeConfig(cut_threshold=1.0)).shots
    assert shot.frames == LENGTH


@pytest.mark.parametrize("places", [1, 2, 3, 6])
def test_places_are_spread_and_limited(video: Path, places: int) -> None:
    eye = Eye()
    described(video, eye, DescribeConfig(frames_per_shot=places, cut_threshold=1.0))
    assert 1 <= len(eye.seen) <= 2 * places * 4
    assert all(len(seen) == 3 for seen in eye.seen)
    if places > 1:
        assert eye.seen[-1].mean() > 0.5 > eye.seen[0].mean()


def test_no_place_reaches_over_a_cut(video: Path) -> None:
    eye = Eye()
    described(video, eye, DescribeConfig(frames_per_shot=30))
    assert all(float(seen.max() - seen.min()) < 0.05 for seen in eye.seen)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_short_video_is_described_all_the_same(tmp_path: Path, frames: int) -> None:
    eye = Eye()
    path = write_clip(tmp_path / "short.mkv", Clip(pts=tuple(range(frames)), draw=drawn))
    found = described(path, eye)
    assert len(eye.seen) == 1
    assert parse_text(found.webvtt).at(0.0) == "downsample, medium noise"


def test_the_table_has_every_probability(video: Path) -> None:
    lines = described(video, Eye()).table.splitlines()
    assert lines[0] == f"| part | degradation | {' | '.join(LEVELS)} |"
    assert len(lines) == 2 + 3 * len(ATTRIBUTES)
    assert lines[4].startswith("| whole video | noise | ")
    assert "| 0.00-0.96 s | noise | 0% | 0% | **100%** | 0% |" in lines


def test_progress_is_told_and_may_cancel(video: Path) -> None:
    told: list[tuple[int, int | None]] = []
    describe_source(Source(video), Eye(), report=lambda done, total, newest: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, LENGTH + 1))
    assert len({total for _, total in told}) == 1

    def stop(done: int, total: int | None, newest: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        describe_source(Source(video), Eye(), report=stop)


def test_a_long_shot_costs_little(tmp_path: Path) -> None:
    eye = Eye()
    path = write_clip(tmp_path / "long.mkv", Clip(pts=tuple(range(600)), draw=lambda number, clip: drawn(0, clip)))
    describe_source(Source(path), eye, DescribeConfig(frames_per_shot=4))
    assert len(eye.seen) <= 8 + 4 * 6  # another four for every doubling of the length


def test_settings_and_files_are_checked(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="at least 1 frame per shot"):
        DescribeConfig(frames_per_shot=0)
    with pytest.raises(VideoNotFoundError):
        describe_source(Source(tmp_path / "none.mp4"), Eye())
