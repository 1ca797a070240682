"""CLIP-IQA over time: of a video as it streams by, or of pictures one after another."""

import csv
import io
import json
import math
from array import array
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import CLIP_BATCH, CUT_THRESHOLD
from ..device import free_memory, is_out_of_memory
from ..errors import EmptyVideoError, OutOfMemoryError, SettingError
from ..job import Source
from ..video.cuts import mark_cuts
from ..video.reader import VideoReader
from .clip_iqa import ClipIqa, Pair, pair_name
from .plot_parts import Series, Timeline
from .rows import heading

Report = Callable[[int, int | None, Tensor], None]
"""Takes the number of frames seen so far, of all if that is known, and the newest one, (3,H,W)."""


@dataclass(frozen=True)
class ScoreConfig:
    """Which frames are scored.

    Attributes:
        every: every how many-th frame, from the first one on.
        most: frames at most, spread evenly over the video, and at least half as many if it has them; 0 is no limit.
        cut_threshold: see ``video.cuts.mark_cuts``; cuts are marked in the plot.

    Raises:
        SettingError: ``every`` is less than 1 or ``most`` negative.
    """

    every: int = 1
    most: int = 0
    cut_threshold: float = CUT_THRESHOLD

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SettingError(f"Expected every 1st frame or fewer to be scored, got every {self.every}; choose 1.")
        if self.most < 0:
            raise SettingError(f"Expected a number of frames to score, got {self.most}; choose 0 for all.")


@dataclass(frozen=True)
class FrameScores:
    """The scores of some frames.

    Attributes:
        pairs: what was asked.
        frames: numbers of the frames that were scored, from 0.
        seconds: when each is shown, from the video's beginning; empty for pictures without a clock.
        values: for each pair one score a frame, 0 to 1.
        cuts: seconds at which a new shot begins.
    """

    pairs: tuple[Pair, ...]
    frames: Sequence[int]
    seconds: Sequence[float]
    values: tuple[Sequence[float], ...]
    cuts: tuple[float, ...] = ()

    @property
    def scores(self) -> list[float]:
        """The mean over all pairs, frame by frame."""
        return [sum(row) / len(row) for row in zip(*self.values, strict=True)]

    @property
    def mean(self) -> float:
        """The mean over all scored frames and pairs."""
        scores = self.scores
        return math.fsum(scores) / len(scores)

    @property
    def csv(self) -> str:
        """A table: ``frame``, ``seconds`` if there is a clock, ``score``, and a column a pair if there are several."""
        several = len(self.pairs) > 1
        head = ["frame", *(["seconds"] if self.seconds else []), "score"]
        columns = [list(map(str, self.frames)), *([[f"{t:.6f}" for t in self.seconds]] if self.seconds else [])]
        columns += [[f"{v:.6f}" for v in column] for column in (self.scores, *(self.values if several else ()))]
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head + [heading(pair_name(pair)) for pair in self.pairs if several])
        table.writerows(zip(*columns, strict=True))
        return file.getvalue()

    @property
    def json(self) -> str:
        """The same with the mean and the cuts, as JSON: an object with one list a column."""
        values = {
            "metric": "CLIP-IQA",
            "mean": round(self.mean, 6),
            "frame": list(self.frames),
            **({"seconds": _rounded(self.seconds)} if self.seconds else {}),
            "score": _rounded(self.scores),
            "pairs": [
                {"prompts": list(pair), "score": _rounded(column)}
                for pair, column in zip(self.pairs, self.values, strict=True)
            ],
            "cuts": _rounded(self.cuts),
        }
        return json.dumps(values, ensure_ascii=False)

    def timeline(self, title: str = "CLIP-IQA") -> Timeline:
        """What ``plots.draw_timeline`` draws: the score, and each pair if there are several."""
        times = self.seconds or self.frames
        several = len(self.pairs) > 1
        lines = [Series("all pairs" if several else pair_name(self.pairs[0]), times, self.scores)]
        if several:
            lines += [Series(pair_name(p), times, v) for p, v in zip(self.pairs, self.values, strict=True)]
        return Timeline(tuple(lines), title, unit="seconds" if self.seconds else "frames", cuts=self.cuts)


def score_source(
    source: Source, network: ClipIqa, config: ScoreConfig | None = None, report: Report | None = None
) -> FrameScores:
    """Read a video, or a part of it, once and score its frames where ``network`` is.

    Peak memory: the frames that finding cuts needs, and those of a batch (``config.CLIP_BATCH``) with the network's
    features of them (about 0.4 kB a pixel); beside that a few numbers a scored frame.

    Args:
        source: the video, or a part of it.
        network: what judges.
        config: which frames.
        report: called after every frame; may raise to cancel.

    Raises:
        VideoError: from ``VideoReader``.
        ShapeError: frames have sides of less than 32 pixels.
        OutOfMemoryError: not even one frame fits the memory.
    """
    config = config or ScoreConfig()
    cuts: list[float] = []
    with VideoReader(
        source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
    ) as reader:
        info, total = reader.info, reader.info.frames_in(source.start, source.duration)
        scorer = _Scorer(network, config, total)
        for index, (frame, cut) in enumerate(mark_cuts(reader, lambda frame: frame.image, config.cut_threshold)):
            seconds = float(frame.pts * info.time_base - info.start_time)
            if cut:
                cuts.append(seconds)
            scorer.look(index, seconds, frame.image)
            if report is not None:
                report(index + 1, total, frame.image)
    return scorer.result(tuple(cuts))


def score_pictures(
    pictures: Iterable[Tensor], network: ClipIqa, config: ScoreConfig | None = None, report: Report | None = None
) -> FrameScores:
    """Score pictures (3,H,W), RGB in [0,1], all of one size, that have no clock; otherwise like ``score_source``.

    Raises:
        EmptyVideoError: there is no picture.
    """
    total = len(pictures) if isinstance(pictures, Sized) else None
    scorer = _Scorer(network, config or ScoreConfig(), total)
    for index, picture in enumerate(pictures):
        scorer.look(index, None, picture)
        if report is not None:
            report(index + 1, total, picture)
    return scorer.result(())


class _Scorer:
    """Gathers frames into batches, and thins its scores when there are more than wanted."""

    def __init__(self, network: ClipIqa, config: ScoreConfig, total: int | None) -> None:
        self._network, self._most = network, config.most
        self._step = config.every
        if config.most and total:
            self._step = max(config.every, math.ceil(total / config.most))
        self._waiting: list[Tensor] = []
        self._frames, self._seconds = array("q"), array("d")
        self._values = tuple(array("d") for _ in network.pairs)

    def look(self, index: int, seconds: float | None, image: Tensor) -> None:
        """Take in the next frame, (3,H,W)."""
        if index % self._step:
            return
        self._waiting.append(image)
        self._frames.append(index)
        if seconds is not None:
            self._seconds.append(seconds)
        count, pixels = CLIP_BATCH
        if len(self._waiting) >= min(count, max(1, pixels // (image.shape[-1] * image.shape[-2]))):
            self._score()

    def _score(self) -> None:
        if self._waiting:
            for row in score_batch(self._network, self._waiting):
                for column, value in zip(self._values, row, strict=True):
                    column.append(value)
            self._waiting.clear()
        while self._most and len(self._frames) > self._most:
            self._step *= 2
            self._frames, self._seconds = self._frames[::2], self._seconds[::2]
            self._values = tuple(column[::2] for column in self._values)

    def result(self, cuts: tuple[float, ...]) -> FrameScores:
        """All scores, when no more frames come."""
        self._score()
        if not self._frames:
            raise EmptyVideoError("Expected at least one picture to score, got none; choose a longer part.")
        return FrameScores(self._network.pairs, self._frames, self._seconds, self._values, cuts)


@torch.inference_mode()
def score_batch(network: ClipIqa, images: list[Tensor]) -> list[list[float]]:
    """Scores by frame and pair of images (3,H,W) of one size; a batch for which memory runs out is halved.

    Raises:
        ShapeError: they have sides of less than 32 pixels.
        OutOfMemoryError: not even one fits the memory.
    """
    try:
        values: list[list[float]] = network.pair_scores(torch.stack(images).to(network.texts)).tolist()
        return values
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(images) == 1:
            height, width = images[0].shape[-2:]
            raise OutOfMemoryError(
                f"Expected room for CLIP-IQA of one frame of {width}x{height}, but memory ran out; close other "
                "programs, or score a smaller version of the video."
            ) from error
    free_memory()
    half = len(images) // 2
    return score_batch(network, images[:half]) + score_batch(network, images[half:])


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(value, 6) for value in values]
