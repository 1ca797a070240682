"""A job's progress on a terminal, or in a log."""

import math
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from .process import mute

if TYPE_CHECKING:
    from ..core.job import Progress


@dataclass
class ProgressLine:
    """Shows progress: one line that is drawn over on a terminal, else a line now and then.

    Attributes:
        stream: where to.
        silent: show nothing.
    """

    stream: TextIO
    silent: bool = False
    _shown: float = field(default=-math.inf, init=False)
    _share: float = field(default=0.0, init=False)

    def __call__(self, progress: "Progress") -> None:
        """Report one finished frame."""
        now, share = time.monotonic(), progress.done / progress.total if progress.total else 0.0
        terminal = self.stream.isatty()
        waited = abs(now - self._shown)  # a clock may be set back
        due = waited >= 0.1 if terminal else waited >= 10 or share - self._share >= 0.1
        if self.silent or not (due or progress.done == progress.total):
            return
        self._shown, self._share = now, share
        try:
            self.stream.write(self._drawn(share, str(progress)) if terminal else f"{progress}\n")
            self.stream.flush()
        except OSError:  # nobody reads it any more: that is no reason to end hours of work
            self.silent = True
            mute(self.stream)

    def _drawn(self, share: float, words: str) -> str:
        bar = "#" * round(24 * share)
        room = shutil.get_terminal_size().columns - 1
        return "\r" + f"[{bar:<24}] {words}"[:room].ljust(room)

    def close(self) -> None:
        """End the line."""
        if not self.silent and self.stream.isatty() and self._shown > -math.inf:
            self.stream.write("\n")
