"""From frames to restored frames: shot by shot, window by window, with less memory whenever it runs out."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from torch import Tensor

from .device import free_memory, is_out_of_memory
from .errors import OutOfMemoryError
from .journal import Pause, Position
from .restorer import PromptedFrame, Restorer, Shot
from .tiles import Check
from .windows import Window, WindowPlan, WindowStream

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShotFrame(PromptedFrame):
    """A frame of a shot: ``shot`` counts the cuts before it; ``pts`` and ``duration`` are ticks of its video."""

    shot: int = 0
    pts: int = 0
    duration: int = 0


@dataclass(frozen=True)
class Result:
    """A restored frame, (3,scale*H,scale*W), and the one it was made of."""

    image: Tensor
    frame: ShotFrame


class Restoration:
    """Restores a stream of frames.

    Args:
        restorer: the system.
        plan: windows and tiles; made smaller when memory runs out.
        check: called between pieces of work; raises to cancel.
        tell: takes a sentence for the user.
        ends: frames, counted from where ``run`` begins, with which a window has to end even if windows are smaller
            than planned; ascending.
    """

    def __init__(
        self,
        restorer: Restorer,
        plan: WindowPlan,
        check: Check,
        tell: Callable[[str], None],
        ends: Sequence[int] = (),
    ) -> None:
        self._restorer, self._plan = restorer, plan
        self._check, self._tell = check, tell
        self._ends, self._finished = deque(ends), 0

    def run(self, frames: Iterable[ShotFrame], begin: Pause | None = None) -> Iterator[Result | Pause]:
        """Yield a result for every frame, and a pause after every window. No window holds frames of two shots.

        Peak memory: one window and its look-ahead.

        Args:
            frames: in order.
            begin: where an earlier run paused; ``frames`` go on from there.

        Raises:
            OutOfMemoryError: not even the smallest plan fits.
        """
        begin = begin or Pause()
        for _, shot in groupby(frames, key=lambda frame: frame.shot):
            yield from self._restore_shot(WindowStream(shot, begin.position.in_shot), begin.state)
            begin = Pause()

    def _restore_shot(self, frames: WindowStream[ShotFrame], state: Mapping[str, Tensor]) -> Iterator[Result | Pause]:
        shot: Shot | None = None
        done = 0  # frames of the coming window that came out before memory ran out
        while (window := frames.look(self._fitting())) is not None:
            size = (window.items[0].image.shape[-2], window.items[0].image.shape[-1])
            exhausted = False
            try:
                if shot is None:
                    shot = self._restorer.open_shot(*size, self._plan)
                    shot.load_state(state)
                for result in self._results(shot, window, done):
                    done += 1
                    yield result
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                log.debug("Out of memory.", exc_info=True)
                exhausted = True
            if exhausted:  # outside of the handler, which holds on to the memory of what failed
                shot = None
                self._shrink(size)
                continue
            assert shot is not None
            frames.drop(window.kept)
            done -= window.kept
            self._finished += window.kept
            last = window.items[window.kept - 1]
            state = {} if window.last else shot.state()
            yield Pause(Position(last.shot + 1, 0 if window.last else window.start + window.kept), state)

    def _fitting(self) -> WindowPlan:
        """The plan, with a window that does not reach over the next end."""
        while self._ends and self._ends[0] <= self._finished:
            self._ends.popleft()
        if not self._ends:
            return self._plan
        return replace(self._plan, length=min(self._plan.length, self._ends[0] - self._finished))

    def _results(self, shot: Shot, window: Window[ShotFrame], done: int) -> Iterator[Result]:
        prompted: Window[PromptedFrame] = Window(window.start, window.items, window.kept, window.last)
        for index, image in enumerate(shot.restore(prompted, self._check)):
            if index >= done:
                yield Result(image, window.items[index])

    def _shrink(self, size: tuple[int, int]) -> None:
        smaller = self._plan.smaller(*size)
        if smaller is None:
            raise OutOfMemoryError(
                f"Expected {self._plan} to fit the memory, but it ran out; close other programs, choose a smaller "
                "network, or make the video smaller."
            )
        self._plan = smaller
        free_memory()
        self._tell(f"Memory ran out; the work goes on with {smaller}.")


def after(items: Iterable[Result | Pause], lead: int) -> Iterator[Result | Pause]:
    """What comes after the first ``lead`` results and the pause that they end with."""
    results = 0
    for item in items:
        results += isinstance(item, Result)
        if results > lead or not lead:
            yield item
