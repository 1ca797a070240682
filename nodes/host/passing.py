"""Results that nobody has asked to keep: files in ComfyUI's temporary folder that go when nothing refers to them."""

import contextlib
import weakref
from collections import deque
from pathlib import Path

from .folders import temporary_path

SHOWN = 64
"""Files that the canvas was told of and that stay for it: the newest ones."""

_shown: deque[Path] = deque(maxlen=SHOWN)


class PassingFile(type(Path())):  # type: ignore[misc]  # what a path is differs by platform
    """A path whose file is deleted with it, so that a server that runs for weeks fills no disk.

    What hands the path on, as a ``Source`` does, keeps the file. A path made of it (a parent, a text) does not.
    """

    _end: "weakref.finalize[[Path], PassingFile] | None" = None

    def delete_with_me(self) -> None:
        """Delete the file when this object goes; not at the end of the process, when the host empties the folder."""
        self._end = weakref.finalize(self, _delete, Path(self))
        self._end.atexit = False

    def keep(self) -> None:
        """Leave the file to the host after all."""
        if self._end is not None:
            self._end.detach()


def passing_path(suffix: str) -> Path:
    """A fresh name in ComfyUI's temporary folder; the file there goes when nothing refers to this path any more."""
    path = PassingFile(temporary_path(suffix))
    path.delete_with_me()
    return path


def for_canvas(path: Path) -> Path:
    """The path, its file kept for the canvas, until as many others as are kept were shown after it."""
    if isinstance(path, PassingFile) and not any(path is other for other in _shown):
        _shown.append(path)
    return path


def kept(path: Path) -> Path:
    """The path, its file left to the host: somebody knows it by name, and nobody can say for how long."""
    if isinstance(path, PassingFile):
        path.keep()
    return path


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):  # a player on Windows has it open: the host deletes it later
        path.unlink()
