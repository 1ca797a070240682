"""An input that has to stay as it is while a job reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .durable import sha256_of
from .errors import VideoError, VideoNotFoundError

Found = TypeVar("Found")


class Unchanged:
    """Watches a file by its size and its time of change.

    Args:
        path: the file.
        sha256: of its content; with it, a file that was only touched, or put back, counts as unchanged.

    Raises:
        VideoNotFoundError: there is none.
    """

    def __init__(self, path: Path, sha256: str = "") -> None:
        self.path, self._sha256 = path, sha256
        self._marks = self._look()

    def _look(self) -> tuple[int, int]:
        stat = self._reach(Path.stat)
        return stat.st_size, stat.st_mtime_ns

    def _reach(self, look: Callable[[Path], Found]) -> Found:
        try:
            return look(self.path)
        except OSError as error:
            raise VideoNotFoundError(
                f"Expected {self.path} to stay where it is, but it cannot be reached any "
                f"more ({error.strerror}); put it back and run the same job again: it goes on where it stopped."
            ) from error

    def check(self) -> None:
        """Insist that the file is what it was.

        Raises:
            VideoNotFoundError: it is gone.
            VideoError: it is another one now.
        """
        now = self._look()
        if now == self._marks:
            return
        if not self._sha256 or self._reach(sha256_of) != self._sha256:
            raise VideoError(
                f"Expected {self.path} to stay as it is, but it changed meanwhile; run it "
                "again: with the content it had before the work goes on where it stopped, with another it starts "
                "afresh."
            )
        self._marks = now
