"""One pass over the source that finds the cuts, tells how the work is shared out, and notes what each frame is."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ..restoration import ShotFrame
from .layout import Layout, Piece

_GRID = 4
_SCALE = 65535
_TOLERANCE = 3
"""Of 65535: conversion to RGB may differ in the last bit of its floats between processors, decoding may not."""


def fingerprint(image: Tensor) -> bytes:
    """Means over a grid of 4x4 of (3,H,W) in [0,1], in 32 bytes: enough to notice a frame that is decoded wrongly."""
    means = F.adaptive_avg_pool2d(image.float().mean(0)[None], _GRID)
    return array("H", (means.clamp(0, 1) * _SCALE).round().to(torch.int32).flatten().tolist()).tobytes()


def alike(one: bytes, other: bytes) -> bool:
    """Whether two fingerprints are of the same frame."""
    first, second = array("H", one), array("H", other)
    return all(abs(a - b) <= _TOLERANCE for a, b in zip(first, second, strict=True))


@dataclass
class Marks:
    """What is known of consecutive frames.

    Attributes:
        begin: number of the first.
        shots: of each, the number of its shot.
        times: of each, its presentation time in ticks.
        prints: their fingerprints, one after the other.
    """

    begin: int
    shots: "array[int]" = field(default_factory=lambda: array("q"))
    times: "array[int]" = field(default_factory=lambda: array("q"))
    prints: bytearray = field(default_factory=bytearray)

    def add(self, frame: ShotFrame) -> None:
        """Note the next frame."""
        self.shots.append(frame.shot)
        self.times.append(frame.pts)
        self.prints += fingerprint(frame.image)

    def part(self, begin: int, end: int) -> "Marks":
        """A copy of those of frames [begin, end), as far as they are there."""
        low, high = begin - self.begin, end - self.begin
        prints = self.prints[self._size(low) : self._size(high)]
        return Marks(begin, self.shots[low:high], self.times[low:high], prints)

    def forget(self, begin: int) -> None:
        """Drop what is known of frames before ``begin``."""
        count = begin - self.begin
        if count > 0:
            self.begin = begin
            del self.shots[:count], self.times[:count], self.prints[: self._size(count)]

    def print_of(self, index: int) -> bytes:
        """The fingerprint of the ``index``-th of these frames."""
        return bytes(self.prints[self._size(index) : self._size(index + 1)])

    @staticmethod
    def _size(frames: int) -> int:
        return 2 * _GRID**2 * frames


@dataclass(frozen=True)
class Task:
    """A piece, and what its worker must know.

    Attributes:
        piece: what is to be restored.
        lead: frames before it that are restored for what they leave.
        marks: of all frames that are read: the lead, the piece, and those that its last window looks at.
    """

    piece: Piece
    lead: int
    marks: Marks


@dataclass(frozen=True)
class Reach:
    """How far beyond a piece its worker looks.

    Attributes:
        lead: most frames before it.
        ahead: frames after it, with the one more that tells whether a window is the last.
    """

    lead: int
    ahead: int


def survey(frames: Iterable[ShotFrame], first: int, layout: Layout, reach: Reach) -> Iterator[Task]:
    """Yield the tasks of a video as soon as their frames, and those after them, are known.

    Peak memory: one frame, and 48 bytes for each frame of the pieces that are not complete yet and their leads.

    Args:
        frames: of the source, in order.
        first: number of the first of them, at most ``reach.lead`` before the first piece.
        layout: groups those from the first piece on.
        reach: how far beyond a piece its worker looks.
    """
    marks, waiting = Marks(first), list[Piece]()
    begin, shot = layout.begin, None
    for number, frame in enumerate(frames, first):
        cut = shot is not None and frame.shot != shot
        marks.add(frame)
        shot = frame.shot
        if number >= begin:
            waiting += layout.add(cut)
        while waiting and number >= waiting[0].end + reach.ahead - 1:
            yield _task(waiting.pop(0), marks, reach)
    waiting += layout.finish()
    while waiting:
        yield _task(waiting.pop(0), marks, reach)


def _task(piece: Piece, marks: Marks, reach: Reach) -> Task:
    lead = min(reach.lead, piece.position.in_shot)
    task = Task(piece, lead, marks.part(piece.begin - lead, piece.end + reach.ahead))
    marks.forget(piece.end - reach.lead)
    return task
