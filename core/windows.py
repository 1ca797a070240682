"""Index arithmetic of cutting a shot into windows: no tensors, no files."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import SettingError

Item = TypeVar("Item")


@dataclass(frozen=True)
class WindowPlan:
    """How a restorer wants a shot cut.

    Attributes:
        length: frames a window yields.
        look_ahead: further frames it may look at, which the next window yields.
    """

    length: int
    look_ahead: int = 0

    def __post_init__(self) -> None:
        if self.length < 1 or self.look_ahead < 0:
            raise SettingError(
                f"Expected a window of at least 1 frame and a look-ahead of at least 0, got {self.length} and "
                f"{self.look_ahead}; choose larger ones, or 0 for automatic."
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


def slide(items: Iterable[Item], plan: WindowPlan) -> Iterator[Window[Item]]:
    """Cut a stream into windows, each item kept exactly once.

    Holds at most ``length + look_ahead + 1`` items. A window starts where the one before stopped.
    """
    stream = iter(items)
    buffer: deque[Item] = deque()
    start = 0
    while True:
        # One more than needed, to know whether this window is the last.
        while len(buffer) <= plan.length + plan.look_ahead:
            try:
                buffer.append(next(stream))
            except StopIteration:
                break
        if not buffer:
            return
        kept = min(plan.length, len(buffer))
        seen = tuple(buffer)[: plan.length + plan.look_ahead]
        yield Window(start, seen, kept, last=len(buffer) <= plan.length)
        for _ in range(kept):
            buffer.popleft()
        start += kept
