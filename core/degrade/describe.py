"""How a video was spoilt, shot by shot, as text that the upscaler takes."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ...models.degradation_net import FRAMES
from ..config import CUT_THRESHOLD, FRAMES_PER_SHOT
from ..errors import SettingError
from ..job import Source
from ..text.vtt import Cue, write_text
from ..video.cuts import mark_cuts
from ..video.probe import VideoInfo
from ..video.reader import Frame, VideoReader
from .estimator import ATTRIBUTES, LEVELS, Estimate, combine

_FIRST_STRIDE = 4

Report = Callable[[int, int | None, Tensor], None]
"""Takes the number of frames read so far, of all if that is known, and the newest one, (3,H,W)."""


class Judge(Protocol):
    """What ``Estimator`` does."""

    def judge(self, frames: Tensor) -> Tensor:
        """(3,3,H,W) -> (5,3) probabilities."""


@dataclass(frozen=True)
class DescribeConfig:
    """How closely a video is looked at.

    Attributes:
        frames_per_shot: places in a shot that count, at most; up to twice as many are looked at.
        cut_threshold: see ``video.cuts.mark_cuts``.

    Raises:
        SettingError: fewer than 1 place.
    """

    frames_per_shot: int = FRAMES_PER_SHOT
    cut_threshold: float = CUT_THRESHOLD

    def __post_init__(self) -> None:
        if self.frames_per_shot < 1:
            raise SettingError(f"Expected at least 1 frame per shot, got {self.frames_per_shot}; choose 1 or more.")


@dataclass(frozen=True)
class ShotDescription:
    """How one shot was spoilt.

    Attributes:
        start: seconds from the video's beginning.
        end: where the next shot begins.
        frames: its length.
        estimate: what was found.
    """

    start: float
    end: float
    frames: int
    estimate: Estimate


@dataclass(frozen=True)
class VideoDescription:
    """How a video was spoilt: shot by shot, and on the whole (the longer a shot, the more it counts)."""

    shots: tuple[ShotDescription, ...]
    overall: Estimate

    @property
    def webvtt(self) -> str:
        """One cue per shot; the text of the whole video is a note, which players and parsers skip."""
        cues = (Cue(shot.start, shot.end, shot.estimate.text) for shot in self.shots)
        return write_text(cues, f"The whole video: {self.overall.text}")

    @property
    def table(self) -> str:
        """The probability of every level, as a Markdown table: the whole video first, then every shot."""
        lines = [f"| part | degradation | {' | '.join(LEVELS)} |", "|---|---" + "|---" * len(LEVELS) + "|"]
        parts = [("whole video", self.overall)]
        parts += [(f"{shot.start:.2f}-{shot.end:.2f} s", shot.estimate) for shot in self.shots]
        for part, estimate in parts:
            for attribute, shares, level in zip(ATTRIBUTES, estimate.shares, estimate.levels, strict=True):
                cells = [f"**{share:.0%}**" if i == level else f"{share:.0%}" for i, share in enumerate(shares)]
                lines.append(f"| {part} | {attribute.name} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def describe_source(
    source: Source, judge: Judge, config: DescribeConfig | None = None, report: Report | None = None
) -> VideoDescription:
    """Read a video, or a part of it, once and describe its degradations.

    Every shot is looked at in places spread evenly over it, closer ones while it is short. Peak memory: the frames
    that finding cuts needs and three more, whatever the length; the work in a shot grows with the logarithm of its
    length.

    Args:
        source: the video, or a part of it.
        judge: what looks at frames.
        config: how closely.
        report: called after every frame; may raise to cancel.

    Raises:
        VideoError: from ``VideoReader``.
    """
    config = config or DescribeConfig()
    shots: list[_Shot] = []
    with VideoReader(
        source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
    ) as reader:
        total = _total(reader.info, source)
        for done, (frame, cut) in enumerate(mark_cuts(reader, lambda frame: frame.image, config.cut_threshold), 1):
            if cut or not shots:
                for shot in shots[-1:]:
                    shot.close(judge)
                shots.append(_Shot(config.frames_per_shot))
            shots[-1].add(frame, judge)
            if report is not None:
                report(done, total, frame.image)
        shots[-1].close(judge)
    return _summary(shots, reader.info)


def _total(info: VideoInfo, source: Source) -> int | None:
    """Frames there will be, if the file says; not those of a part."""
    return info.frames if source.start == 0 and source.duration is None else None


@dataclass
class _Shot:
    """A shot while it is read.

    Attributes:
        places: that count, at most.
        evidence: from the places looked at, ``stride`` frames from each other.
        newest: the last frames, while they are needed.
    """

    places: int
    evidence: list[Tensor] = field(default_factory=list)
    newest: deque[Frame] = field(default_factory=lambda: deque(maxlen=FRAMES))
    stride: int = _FIRST_STRIDE
    frames: int = 0
    first: int = 0
    end: int = 0

    def add(self, frame: Frame, judge: Judge) -> None:
        """Take in the next frame."""
        if not self.frames:
            self.first = frame.pts
        self.newest.append(frame)
        self.frames += 1
        self.end = frame.pts + frame.duration
        if self.frames >= FRAMES and (self.frames - FRAMES) % self.stride == 0:
            self._look(judge)

    def _look(self, judge: Judge) -> None:
        self.evidence.append(judge.judge(torch.stack([frame.image for frame in self.newest])))
        if len(self.evidence) >= 2 * self.places:
            self.evidence = self.evidence[::2]
            self.stride *= 2

    def close(self, judge: Judge) -> None:
        """At its end: a shot too short to have been looked at is, its last frame repeated; frames are let go."""
        if not self.evidence:
            while len(self.newest) < FRAMES:
                self.newest.append(self.newest[-1])
            self._look(judge)
        self.newest.clear()


def _summary(shots: list[_Shot], info: VideoInfo) -> VideoDescription:
    def seconds(pts: int) -> float:
        return float(pts * info.time_base - info.start_time)

    ends = [shot.first for shot in shots[1:]] + [shots[-1].end]
    described = tuple(
        ShotDescription(seconds(shot.first), seconds(end), shot.frames, combine(shot.evidence))
        for shot, end in zip(shots, ends, strict=True)
    )
    frames = sum(shot.frames for shot in shots)
    whole = sum((torch.stack(shot.evidence).mean(0) * (shot.frames / frames) for shot in shots), torch.zeros(()))
    return VideoDescription(described, combine([whole]))
