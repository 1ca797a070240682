"""Times of frames: their own where they can be believed, strictly increasing always."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import av

from .report import BAD_TIME, NO_TIME, RESTARTED, Loss


@dataclass(frozen=True)
class Picture:
    """A decoded frame on its way.

    Attributes:
        frame: the samples.
        pts: presentation time in ticks; None if the file does not say.
        duration: ticks; 0 if the file does not say.
        damage: what is wrong with its samples.
        lost: what is wrong with its time.
    """

    frame: av.VideoFrame
    pts: int | None
    duration: int
    damage: Loss | None = None
    lost: Loss | None = None


class Clock:
    """Gives every picture a time later than the one before.

    A single time that is missing, repeats or leaps is replaced by one between its neighbours; when all times start
    again (files joined end to end), those that follow keep their distances.

    Args:
        start: the time of the first picture, if it has none of its own.
        step: ticks from a picture to the next, where nothing else says.
    """

    def __init__(self, start: int, step: int) -> None:
        self._start, self._step = start, step
        self._offset = 0
        self._last: int | None = None
        self._last_step = step

    def run(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the same pictures with their times, one picture late."""
        waiting: deque[Picture] = deque()
        for picture in pictures:
            waiting.append(picture)
            if len(waiting) == 2:
                yield self._timed(waiting.popleft(), waiting[0].pts)
        if waiting:
            yield self._timed(waiting[0], None)

    def _timed(self, picture: Picture, after: int | None) -> Picture:
        own = None if picture.pts is None else picture.pts + self._offset
        pts, lost = self._choose(own, None if after is None else after + self._offset)
        self._last, self._last_step = pts, picture.duration or self._step
        return replace(picture, pts=pts, lost=lost)

    def _choose(self, own: int | None, after: int | None) -> tuple[int, Loss | None]:
        if self._last is None:
            if own is not None:
                return own, None
            return (self._start if after is None else min(self._start, after - self._step)), NO_TIME
        if own is None:
            return self._made_up(after), NO_TIME
        if own > self._last:
            leaps = after is not None and self._last + 1 < after < own
            return (self._made_up(after), BAD_TIME) if leaps else (own, None)
        if after is not None and own < after <= self._last:
            made_up = self._made_up(None)
            self._offset += made_up - own
            return made_up, RESTARTED
        return self._made_up(after), BAD_TIME

    def _made_up(self, after: int | None) -> int:
        """A step after the last one, or midway to the next if that comes sooner."""
        assert self._last is not None
        pts = self._last + self._last_step
        if after is not None and self._last + 1 < after <= pts:
            pts = (self._last + after) // 2
        return pts
