"""Index arithmetic of cutting a shot into windows: no tensors, no files."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from .config import LEAST_TILE
from .errors import SettingError

Item = TypeVar("Item")


@dataclass(frozen=True)
class WindowPlan:
    """How a restorer wants a shot cut.

    Attributes:
        length: frames a window yields.
        look_ahead: further frames it may look at, which the next window yields.
        tiles: sides of the tiles that a frame is worked on in, in pixels of the input; 0 is the whole frame. What each
            is for is the restorer's affair.
        batches: how many tiles of each kind, or whole frames, are computed at once; empty is one.
    """

    length: int
    look_ahead: int = 0
    tiles: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.length < 1 or self.look_ahead < 0:
            raise SettingError(
                f"Expected a window of at least 1 frame and a look-ahead of at least 0, got {self.length} and "
                f"{self.look_ahead}; choose larger ones, or 0 for automatic."
            )

    def smaller(self, height: int, width: int) -> "WindowPlan | None":
        """Halve what takes most memory and costs least: batches, then tiles, then the window, then the look-ahead.

        Args:
            height: of a frame.
            width: of a frame.

        Returns:
            None if everything is as small as it gets.
        """
        if any(count > 1 for count in self.batches):
            return replace(self, batches=tuple(max(count // 2, 1) for count in self.batches))
        sides = [side or max(height, width) for side in self.tiles]
        if any(side > LEAST_TILE for side in sides):
            return replace(self, tiles=tuple(max(side // 2, min(side, LEAST_TILE)) for side in sides))
        if self.length > 1:
            return replace(self, length=self.length // 2)
        if self.look_ahead > 1:
            return replace(self, look_ahead=self.look_ahead // 2)
        return None

    def __str__(self) -> str:
        tiles = ", ".join(f"{side} pixels" for side in self.tiles if side)
        batches = f", {' and '.join(map(str, self.batches))} at once" if any(n > 1 for n in self.batches) else ""
        return (
            f"windows of {self.length} frames, {self.look_ahead} ahead, tiles of {tiles or 'the whole frame'}{batches}"
        )


@dataclass(frozen=True)
class Window(Generic[Item]):
    """A piece of a shot.

    Attributes:
        start: index of its first frame in the shot.
        items: the frames it yields, then those it only looks at.
        kept: how many it yields.
        last: whether the shot ends with this window.
    """

    start: int
    items: tuple[Item, ...]
    kept: int
    last: bool


class WindowStream(Generic[Item]):
    """A stream of frames, looked at window by window; the plan may change between two looks.

    Holds at most ``length + look_ahead + 1`` items.

    Args:
        items: the frames of a shot, or of the rest of one.
        start: index of the first of them in the shot.
    """

    def __init__(self, items: Iterable[Item], start: int = 0) -> None:
        self._items = iter(items)
        self._buffer: deque[Item] = deque()
        self._start = start

    def look(self, plan: WindowPlan) -> Window[Item] | None:
        """Return the window that begins at the first frame not yet dropped; None at the end."""
        seen = plan.length + plan.look_ahead
        # One more than needed, to know whether this window is the last.
        while len(self._buffer) <= seen:
            try:
                self._buffer.append(next(self._items))
            except StopIteration:
                break
        if not self._buffer:
            return None
        kept = min(plan.length, len(self._buffer))
        return Window(self._start, tuple(self._buffer)[:seen], kept, last=len(self._buffer) <= plan.length)

    def drop(self, count: int) -> None:
        """Leave the first ``count`` frames behind."""
        for _ in range(count):
            self._buffer.popleft()
        self._start += count


def slide(items: Iterable[Item], plan: WindowPlan) -> Iterator[Window[Item]]:
    """Cut a stream into windows, each item kept exactly once; see ``WindowStream``."""
    stream = WindowStream(items)
    while (window := stream.look(plan)) is not None:
        yield window
        stream.drop(window.kept)
