"""CLIP-IQA over time: which frames, at which times, in what memory, and how it is told."""

import csv
import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.config import CLIP_BATCH
from textovsr.core.errors import EmptyVideoError, OutOfMemoryError, SettingError, ShapeError
from textovsr.core.job import Source
from textovsr.core.quality.clip_iqa import PUBLISHED_PAIRS, ClipIqa, Pair
from textovsr.core.quality.clip_scores import FrameScores, ScoreConfig, score_pictures, score_source
from textovsr.core.quality.plots import draw_timeline
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.clip import small_clip, wavy_pictures
from textovsr.tests.helpers.clips import Clip, write_clip

CUT = 24
LENGTH = 40
TWO: tuple[Pair, ...] = (("sharp", "blurry"), ("natural", "artificial"))


def drawn(number: int, clip: Clip) -> av.VideoFrame:
    """A dark scene, and from frame CUT on a bright one; grey levels grow with the frame's number."""
    rng = np.random.default_rng(number >= CUT)
    blocks = rng.integers(0, 120, (4, 8, 1), dtype=np.uint8) + (100 if number >= CUT else 0)
    picture = np.repeat(blocks.repeat(8, 0).repeat(8, 1), 3, axis=2).astype(np.uint8)
    return av.VideoFrame.from_ndarray(picture + np.uint8(number % 20), format="rgb24")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots, 24 and 16 frames of 64x32 at 25 fps; the times are uneven in the second."""
    times = [*range(CUT), *(CUT + 2 * i for i in range(LENGTH - CUT))]
    return write_clip(tmp_path_factory.mktemp("scores") / "two.mp4", Clip(pts=times, draw=drawn))


@pytest.fixture(scope="module")
def network() -> ClipIqa:
    return ClipIqa(small_clip(), TWO)


class Brightness(torch.nn.Module):
    """Judges by mean brightness, notes how many frames come together, and may have room for only a few."""

    def __init__(self, room: int = 99, pairs: tuple[Pair, ...] = PUBLISHED_PAIRS) -> None:
        super().__init__()
        self.texts, self.pairs, self.room = torch.zeros(1), pairs, room
        self.batches: list[int] = []

    def pair_scores(self, frames: Tensor) -> Tensor:
        if len(frames) > self.room:
            raise RuntimeError("CUDA error: out of memory")
        self.batches.append(len(frames))
        return frames.mean((1, 2, 3))[:, None].expand(-1, len(self.pairs))


def judged(video: Path, judge: Any, **config: Any) -> FrameScores:
    return score_source(Source(video), judge, ScoreConfig(**config))


@torch.no_grad()
def test_a_video_scores_what_its_frames_score(video: Path, network: ClipIqa) -> None:
    found = judged(video, network)
    with VideoReader(video) as reader:
        expected = network.pair_scores(torch.stack([frame.image for frame in reader]))
    torch.testing.assert_close(torch.tensor(found.values), expected.T, rtol=0, atol=1e-5, check_dtype=False)
    assert found.mean == pytest.approx(float(expected.mean()), abs=1e-5)
    assert list(found.frames) == list(range(LENGTH))
    assert len(set(found.scores)) > LENGTH // 2


def test_times_and_cuts_are_the_video_s(video: Path) -> None:
    found = judged(video, Brightness())
    expected = [float(Fraction(t, 25)) for t in [*range(CUT), *(CUT + 2 * i for i in range(LENGTH - CUT))]]
    assert list(found.seconds) == pytest.approx(expected, abs=1e-3)
    assert found.cuts == (pytest.approx(CUT / 25, abs=1e-3),)
    assert judged(video, Brightness(), cut_threshold=1.0).cuts == ()


def test_a_part_is_scored_at_its_times_in_the_whole(video: Path) -> None:
    found = score_source(Source(video, start=0.4, duration=0.2), Brightness())  # type: ignore[arg-type]
    assert list(found.seconds) == pytest.approx([0.4, 0.44, 0.48, 0.52, 0.56], abs=1e-3)
    assert list(found.frames) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("config", "frames"),
    [
        ({"every": 7}, range(0, LENGTH, 7)),
        ({"every": 100}, [0]),
        ({"most": 10}, range(0, LENGTH, 4)),
        ({"most": 12}, range(0, LENGTH, 4)),
        ({"most": 1}, [0]),
        ({"most": 1000}, range(LENGTH)),
        ({"every": 8, "most": 20}, range(0, LENGTH, 8)),
    ],
)
def test_frames_are_chosen(video: Path, config: dict[str, int], frames: Any) -> None:
    everything, found = judged(video, Brightness()), judged(video, Brightness(), **config)
    assert list(found.frames) == list(frames)
    assert list(found.values[0]) == [everything.values[0][index] for index in frames]
    assert list(found.seconds) == [everything.seconds[index] for index in frames]


@pytest.mark.parametrize("count", [9, 10, 11, 39, 40, 41, 1000])
def test_a_stream_of_unknown_length_keeps_to_the_limit(count: int) -> None:
    pictures = (torch.full((3, 32, 32), index / 1000) for index in range(count))
    found = score_pictures(pictures, Brightness(), ScoreConfig(most=10))  # type: ignore[arg-type]
    assert min(count, 5) <= len(found.frames) <= 10
    steps = set(np.diff(found.frames).tolist())
    assert len(steps) == 1
    assert list(found.values[0]) == pytest.approx([index / 1000 for index in found.frames])


def test_pictures_have_no_clock() -> None:
    found = score_pictures(wavy_pictures(5, 32, 40), Brightness())  # type: ignore[arg-type]
    assert list(found.seconds) == []
    assert found.csv.splitlines()[0] == "frame,score"
    assert "seconds" not in json.loads(found.json)
    assert found.timeline().unit == "frames"


def test_frames_are_judged_in_bounded_batches() -> None:
    most = 0

    def pictures() -> Iterator[Tensor]:
        nonlocal most
        for index in range(50):
            picture = torch.full((3, 32, 32), index / 50)
            most = max(most, index - sum(judge.batches))
            yield picture

    judge = Brightness()
    score_pictures(pictures(), judge)  # type: ignore[arg-type]
    assert max(judge.batches) == CLIP_BATCH[0]
    assert most <= CLIP_BATCH[0]
    large = Brightness()
    score_pictures(torch.zeros(1, 1, 1, 1).expand(3, 3, 1200, 1200), large)  # type: ignore[arg-type]
    assert large.batches == [1, 1, 1]


def test_a_batch_that_does_not_fit_is_halved() -> None:
    judge, pictures = Brightness(room=3), wavy_pictures(9, 32, 32)
    found = score_pictures(pictures, judge)  # type: ignore[arg-type]
    assert list(found.values[0]) == pytest.approx(pictures.mean((1, 2, 3)).tolist())
    assert max(judge.batches) <= 3
    with pytest.raises(OutOfMemoryError, match="one frame of 40x32"):
        score_pictures(wavy_pictures(2, 32, 40), Brightness(room=0))  # type: ignore[arg-type]


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Brightness()
    monkeypatch.setattr(judge, "pair_scores", lambda frames: frames @ torch.zeros(7))
    with pytest.raises(RuntimeError, match="size mismatch"):
        score_pictures(wavy_pictures(1, 32, 32), judge)  # type: ignore[arg-type]


def test_a_report_comes_after_every_frame_and_may_cancel(video: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    score_source(Source(video), Brightness(), report=lambda done, total, image: seen.append((done, total)))  # type: ignore[arg-type]
    assert [done for done, _ in seen] == list(range(1, LENGTH + 1))
    assert {total for _, total in seen} == {LENGTH}

    def stop(done: int, total: int | None, image: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_source(Source(video), Brightness(), report=stop)  # type: ignore[arg-type]


def test_csv_and_json_say_the_same(video: Path, network: ClipIqa) -> None:
    found = judged(video, network, every=9)
    table = list(csv.DictReader(io.StringIO(found.csv)))
    values = json.loads(found.json)
    assert list(table[0]) == ["frame", "seconds", "score", "sharp / blurry", "natural / artificial"]
    for key in ("frame", "seconds", "score"):
        assert [float(row[key]) for row in table] == values[key]
    for pair, column in zip(TWO, found.values, strict=True):
        assert [float(row[" / ".join(pair)]) for row in table] == pytest.approx(list(column), abs=1e-6)
    assert [entry["prompts"] for entry in values["pairs"]] == [list(pair) for pair in TWO]
    assert values["mean"] == pytest.approx(found.mean, abs=1e-6)
    assert values["cuts"] == [pytest.approx(0.96, abs=1e-3)]


def test_the_plot_shows_every_pair_and_the_mean(video: Path, network: ClipIqa) -> None:
    timeline = judged(video, network).timeline("Title")
    assert [series.name for series in timeline.series] == ["all pairs", "sharp / blurry", "natural / artificial"]
    assert draw_timeline(timeline).shape == (1, 420, 1200, 3)
    assert [series.name for series in judged(video, Brightness()).timeline().series] == ["Good photo. / Bad photo."]


def test_what_cannot_be_scored_is_refused(tmp_path: Path, network: ClipIqa) -> None:
    with pytest.raises(SettingError, match="every 0"):
        ScoreConfig(every=0)
    with pytest.raises(SettingError, match="got -1; choose 0 for all"):
        ScoreConfig(most=-1)
    with pytest.raises(EmptyVideoError, match="at least one picture"):
        score_pictures([], network)
    small = write_clip(tmp_path / "small.mkv", Clip(width=64, height=16))
    with pytest.raises(ShapeError, match="sides of at least 32 pixels"):
        score_source(Source(small), network)


def test_the_length_of_a_part_is_foreseen(video: Path) -> None:
    with VideoReader(video) as reader:
        assert reader.info.frames_in() == LENGTH
        whole = reader.info.frames_in(0.4)
        assert whole is not None
        assert reader.info.frames_in(0.4, 0.1) in range(1, whole)
