"""Hard cuts between shots, found while streaming.

Every frame is shrunk to 64x36 and its brightness and contrast are evened out. How unlike two frames are is the share
of the picture that no block of the one, shifted as a moving camera would shift it, explains in the other: near 0 within
a shot, 0.5 and more across a cut. A cut is where *all* of the last frames are unlike *all* of the next ones (so a
flash, a black frame or a dirty one is none: the picture comes back), by more than frames change hereabouts anyway (so a
whip pan, a fast zoom or heavy noise is none). Dissolves and fades are not looked for.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import CUT_THRESHOLD
from ..errors import SettingError

Item = TypeVar("Item")

CONTEXT = 5
"""Frames before a frame that its mark depends on; a job resumed this much earlier finds the same cuts."""

DELAY = 4
"""Frames after a frame that its mark depends on."""

_BEFORE, _AFTER = CONTEXT - 1, DELAY - 1  # what one score reads; a mark compares the scores of three frames
_HEIGHT, _WIDTH = 36, 64
_BLOCK_HEIGHT, _BLOCK_WIDTH = 12, 16
_SHIFT_Y, _SHIFT_X = 6, 8
_SAMPLES = 8  # pixels a side that a sample of the sketch averages: enough against noise, and 4K costs no more than HD
_LEAST_CONTRAST = 0.04  # of full scale: below it the picture is noise, and is not amplified
_LEAST_DETAIL = 0.15  # of the contrast: what an even block weighs
_UNREST = 0.6  # share of the changes hereabouts that a cut must exceed; chosen by benchmarks/cuts.py


def mark_cuts(
    frames: Iterable[Item], image: Callable[[Item], Tensor], threshold: float = CUT_THRESHOLD
) -> Iterator[tuple[Item, bool]]:
    """Yield every item once, in order, with True where a new shot begins at it; the first one never does.

    The mark of frame t depends on frames t - CONTEXT to t + DELAY and on nothing else. Of two cuts one frame apart one
    is marked; a shot of up to three frames between two that look alike counts as a flash. Memory: DELAY + 1 items, and
    ten sketches of 10 KB, whatever the length.

    Args:
        frames: the items of the stream; at most DELAY + 1 are drawn and not yet given back.
        image: an item's picture, (3,H,W) RGB in [0,1]; all of one size, at least 1x1.
        threshold: share of the picture, above 0, that must be new beyond the change that is usual hereabouts. Less
            finds more; nothing is found at 1 and above, and the pictures are not looked at.

    Raises:
        SettingError: ``threshold`` is not above 0.
    """
    if not threshold > 0:
        raise SettingError(f"Expected a cut threshold above 0, got {threshold:g}; 1 finds no cuts.")
    if threshold >= 1:
        return ((item, False) for item in frames)
    return _mark(frames, image, threshold)


def _mark(frames: Iterable[Item], image: Callable[[Item], Tensor], threshold: float) -> Iterator[tuple[Item, bool]]:
    waiting: deque[Item] = deque()
    timeline = _Timeline(threshold)
    for item in frames:
        timeline.add(_sketch(image(item)))
        waiting.append(item)
        if len(waiting) > DELAY:
            yield waiting.popleft(), timeline.decide()
    while waiting:
        yield waiting.popleft(), timeline.decide()


@dataclass
class _Sketch:
    """What is kept of a frame.

    Attributes:
        plane: (36,64) brightness, mean 0, in units of the picture's contrast.
        detail: (3,4) mean size of ``plane`` in each block.
        unlike: ``_unlikeness`` to later frames, as far as it was asked for, by their index.
    """

    plane: Tensor
    detail: Tensor
    unlike: dict[int, float] = field(default_factory=dict)


def _sketch(image: Tensor) -> _Sketch:
    step = max(1, min(image.shape[-2] // (_HEIGHT * _SAMPLES), image.shape[-1] // (_WIDTH * _SAMPLES)))
    red, green, blue = image[:, ::step, ::step].float().contiguous()
    luma = (red * 0.299).add_(green, alpha=0.587).add_(blue, alpha=0.114)
    plane = F.adaptive_avg_pool2d(luma[None], (_HEIGHT, _WIDTH))[0].cpu()
    plane = plane - plane.mean()
    plane = plane / (plane.square().mean().sqrt() + _LEAST_CONTRAST)
    return _Sketch(plane, _by_block(plane.abs()))


def _by_block(planes: Tensor) -> Tensor:
    """(...,36,64) -> (...,3,4), the mean over each block."""
    split = planes.unflatten(-1, (-1, _BLOCK_WIDTH)).unflatten(-3, (-1, _BLOCK_HEIGHT))  # (...,3,12,4,16)
    return split.sum(-3).sum(-1) / (_BLOCK_HEIGHT * _BLOCK_WIDTH)


def _weights(a: _Sketch, b: _Sketch) -> Tensor:
    """(3,4): how much each block shows in either frame."""
    return torch.maximum(a.detail, b.detail) + _LEAST_DETAIL


def _share(residual: Tensor, weights: Tensor) -> float:
    """The share of the picture that a (3,4) residual leaves unexplained, 0 to 1."""
    return float(torch.minimum(residual, weights).sum() / weights.sum())


def _change(a: _Sketch, b: _Sketch) -> float:
    """How unlike two frames are without any motion: never less than ``_unlikeness``, and cheap."""
    return _share(_by_block((a.plane - b.plane).abs()), _weights(a, b))


def _unlikeness(a: _Sketch, b: _Sketch) -> float:
    """The share of ``b`` that no shifted block of ``a`` explains, 0 to 1."""
    edges = (_SHIFT_X, _SHIFT_X, _SHIFT_Y, _SHIFT_Y)
    padded = F.pad(a.plane[None, None], edges, mode="replicate")[0, 0]
    shifted = padded.unfold(0, _HEIGHT, 1).unfold(1, _WIDTH, 1).reshape(-1, _HEIGHT, _WIDTH)
    residual = _by_block((shifted - b.plane).abs_())  # (221,3,4)
    return _share(residual.amin(0), _weights(a, b))


class _Timeline:
    """The sketches around the frame whose mark is due."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._sketches: dict[int, _Sketch] = {}
        self._end = 0
        self._due = 0

    def add(self, sketch: _Sketch) -> None:
        """Take in the next frame."""
        self._sketches[self._end] = sketch
        self._end += 1

    def decide(self) -> bool:
        """Whether a shot begins at the frame that is due; the next one is due then."""
        t = self._due
        score = self._score(t)
        # Two marks side by side are one cut with a dirty frame or a fast entrance at it: the clearer one stays.
        cut = score > self._threshold and score > self._score(t - 1) and score >= self._score(t + 1)
        self._due += 1
        self._sketches.pop(self._due - CONTEXT - 1, None)
        return cut

    def _score(self, t: int) -> float:
        """By how much all frames before ``t`` differ from all after it beyond the usual; 0 if surely no cut."""
        if t - 1 not in self._sketches or t not in self._sketches:
            return 0.0
        if _change(self._sketches[t - 1], self._sketches[t]) <= self._threshold:
            return 0.0
        usual = _UNREST * self._unrest(t)
        before = [i for i in range(t - 1, t - 1 - _BEFORE, -1) if i in self._sketches]
        after = [i for i in range(t, t + 1 + _AFTER) if i in self._sketches]
        least = 1.0
        for i in before:
            for j in after:
                least = min(least, self._unlike(i, j))
                if least - usual <= self._threshold:
                    return 0.0
        return least - usual

    def _unrest(self, t: int) -> float:
        """The second largest change from frame to frame around ``t``: one may be another cut."""
        near = [*range(t - _BEFORE + 1, t), *range(t + 1, t + _AFTER + 1)]
        changes = sorted(self._unlike(i - 1, i) for i in near if i - 1 in self._sketches and i in self._sketches)
        return changes[-2] if len(changes) > 1 else 0.0

    def _unlike(self, i: int, j: int) -> float:
        known = self._sketches[i].unlike
        if j not in known:
            known[j] = _unlikeness(self._sketches[i], self._sketches[j])
        return known[j]
