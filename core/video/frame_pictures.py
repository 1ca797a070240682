"""Frames as small picture files, for whoever looks at videos from elsewhere."""

import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Literal, get_args

from PIL import Image

from ..config import LARGEST_SIDE, Deinterlace
from ..errors import SettingError
from .frame_at import FrameFile

PictureKind = Literal["png", "jpeg", "webp"]
KINDS: tuple[PictureKind, ...] = get_args(PictureKind)
_OPTIONS: dict[PictureKind, dict[str, object]] = {
    "png": {"compress_level": 1},  # the lower levels are several times as quick, and the way to the browser is short
    "jpeg": {"quality": 92, "subsampling": 0},
    "webp": {"quality": 90, "method": 1},
}

_FILES = 6
"""Videos that keep a decoder; four are compared at once."""

_KNOWN = 64
"""Videos whose index is kept: at most 16 MB for ten hours each."""

_PICTURE_BYTES = 64 * 1024**2
"""Finished pictures that are kept."""


@dataclass(frozen=True)
class Wanted:
    """A picture that is asked for.

    Attributes:
        path: the video.
        number: of the frame, from 0.
        kind: png is exact unless ``side`` is given; all else is nearly the same, and many times as quick.
        side: pixels of the longer side, at most; 0 is the frame's own size.
        deinterlace: as for ``VideoReader``.
    """

    path: Path
    number: int
    kind: PictureKind = "png"
    side: int = 0
    deinterlace: Deinterlace = "auto"


class FramePictures:
    """Opens videos and makes pictures of their frames, keeping the newest of both. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._files: OrderedDict[tuple[object, ...], FrameFile] = OrderedDict()
        self._used: dict[tuple[object, ...], float] = {}
        self._pictures: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._size = 0

    def open(self, path: Path, deinterlace: Deinterlace = "auto") -> FrameFile:
        """The video; a file that changed is another one.

        Raises:
            OSError: there is no such file.
        """
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns, deinterlace)
        with self._lock:
            file = self._files.setdefault(key, FrameFile(path, deinterlace))
            self._files.move_to_end(key)
            self._used[key] = monotonic()
            while len(self._files) > _KNOWN:
                del self._used[self._files.popitem(last=False)[0]]
            resting = list(self._files.values())[:-_FILES]
        for other in resting:
            other.close()
        return file

    def picture(self, wanted: Wanted) -> bytes:
        """Return a picture file.

        Raises:
            SettingError: the side or the kind is none that can be made.
            FrameNumberError: the video has no such frame.
            VideoError: it cannot be read.
            OSError: there is no such file.
        """
        if wanted.side < 0 or wanted.kind not in KINDS:
            raise SettingError(f"Expected side >= 0 and one of {', '.join(KINDS)}, got {wanted.side}, {wanted.kind}.")
        stat = wanted.path.stat()
        key = (wanted, stat.st_size, stat.st_mtime_ns)
        with self._lock:
            known = self._pictures.get(key)
            if known is not None:
                self._pictures.move_to_end(key)
                return known
        made = _encode(self.open(wanted.path, wanted.deinterlace), wanted)
        with self._lock:
            self._size += len(made) - len(self._pictures.pop(key, b""))
            self._pictures[key] = made
            while self._size > _PICTURE_BYTES and len(self._pictures) > 1:
                self._size -= len(self._pictures.popitem(last=False)[1])
        return made

    def rest(self, seconds: float = 0.0, now: Callable[[], float] = monotonic) -> None:
        """Close videos that nobody has asked for in so many seconds, so that their files can be replaced."""
        with self._lock:
            idle = [file for key, file in self._files.items() if now() - self._used[key] >= seconds]
        for file in idle:
            file.close()


def _encode(file: FrameFile, wanted: Wanted) -> bytes:
    exact = wanted.kind == "png" and not wanted.side
    side = wanted.side or LARGEST_SIDE
    pixels = file.pixels(wanted.number) if exact else file.preview(wanted.number, side)
    result = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(result, wanted.kind, **_OPTIONS[wanted.kind])
    return result.getvalue()
