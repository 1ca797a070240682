"""What a file claims to hold, before FFmpeg believes it: the tables of an MP4, and the marks in a bare stream.

A few bytes can claim thousands of millions of samples, for which FFmpeg makes room without asking whether they are
there. Boxes, and what is in them, are those of ISO/IEC 14496-12 and of Apple's QuickTime File Format.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import NotAVideoError

_MOST_SAMPLES = 1 << 25
"""Samples, each of which takes 40 bytes in FFmpeg's index: 155 hours at 60 frames a second."""

_MOST_EDITED = 1 << 26
"""Samples times edits; FFmpeg looks for the samples of every edit."""

_FEW_EDITS = 16
_MOST_BOXES = 1 << 21
_MOST_TABLES = 1 << 29
"""Bytes of a movie's or a fragment's tables."""

_MOST_UNPACKED = 1 << 25
"""Bytes of tables that were stored compressed."""

_DEEPEST = 12
_SOUND_PER_BYTE, _SOUND_PER_ENTRY = 64, 160
"""Samples of sound in a byte, at most; and that FFmpeg has in an entry of its index, at least."""

_INSIDE = frozenset(b"moov trak mdia minf stbl edts mvex dinf moof traf udta tref wave meta cmov sinf ilst".split())
_TABLES = frozenset(b"hdlr stsz stz2 stts stsc stco co64 elst trun cmvd stsd".split())

_BLOCK, _PIECE = 1 << 25, 1 << 18
_MARK, _PICTURE = b"\0\0\1", b"\xff\xd8"


@dataclass
class _Track:
    """What the tables of one track say.

    Attributes:
        samples: how many there are.
        size: bytes of each, if all are the same; else 0.
        is_sound: whether it is one.
        ticks: rows of the table of durations, and the duration in its first.
        runs: the table of samples in chunks.
        chunks: how many there are.
        edits: how many there are.
    """

    samples: int = 0
    size: int = 0
    is_sound: bool = False
    ticks: tuple[int, int] = (0, 0)
    runs: bytes | memoryview = b""
    chunks: int = 0
    edits: int = 0

    @property
    def entries(self) -> int:
        """What FFmpeg's index of it will have; of plain sound, pieces of chunks."""
        if self.is_sound and self.ticks == (1, 1):
            return self.chunks + self.in_chunks // _SOUND_PER_ENTRY
        return self.samples

    @property
    def in_chunks(self) -> int:
        """Samples in all chunks."""
        runs = np.frombuffer(self.runs[: len(self.runs) // 12 * 12], ">u4").reshape(-1, 3).astype(np.float64)
        ends = np.append(runs[1:, 0], self.chunks + 1)[: len(runs)]
        return int((np.clip(ends - runs[:, 0], 0, self.chunks) * runs[:, 1]).sum())


class _LieError(Exception):
    """What the file claims."""


class _Claims:
    """Goes through the boxes of a file of ``size`` bytes; raises ``_LieError``."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries = 0
        self._boxes = 0
        self._track = _Track()

    def go_through(self, file: BinaryIO) -> None:
        """Look at the whole file, without pictures and sound."""
        at = 0
        while at + 8 <= self._size:
            file.seek(at)
            kind, begin, end = _box(file.read(16), self._size - at)
            if end < begin:
                break
            self._count()
            if kind in _INSIDE or kind in _TABLES:
                if end > _MOST_TABLES:
                    raise _LieError(f"tables of {end} bytes")
                file.seek(at)
                self._walk(memoryview(file.read(end)), 0)  # views of it are not copies
            at += end
        self._settle()

    def _count(self) -> None:
        self._boxes += 1
        if self._boxes > _MOST_BOXES:
            raise _LieError(f"more than {_MOST_BOXES} boxes")

    def _walk(self, data: memoryview, depth: int) -> None:
        at = 0
        while at + 8 <= len(data):
            kind, begin, end = _box(bytes(data[at : at + 16]), len(data) - at)
            if end < begin:
                break
            self._count()
            self._look(kind, data[at + begin : at + end], depth)
            at += end

    def _look(self, kind: bytes, body: memoryview, depth: int) -> None:
        if kind == b"trak":
            self._settle()
        if kind in _INSIDE and depth < _DEEPEST:
            versioned = kind == b"meta" and bytes(body[4:8]) not in (b"hdlr", b"ilst", b"keys")
            self._walk(body[4:] if versioned else body, depth + 1)
        elif kind == b"cmvd":
            self._unpack(body, depth)
        elif kind == b"stsd":
            self._look_into(body, depth)
        elif kind in _TABLES:
            self._read(kind, body)

    def _look_into(self, body: memoryview, depth: int) -> None:
        """Descriptions of formats hold boxes at places that depend on the format."""
        found = bytes(body)
        for kind in _TABLES - {b"stsd", b"hdlr"}:
            at = found.find(kind)
            if at >= 0 and depth < _DEEPEST:
                self._look(kind, body[at + 4 :], depth + 1)

    def _unpack(self, body: memoryview, depth: int) -> None:
        if _number(body, 0) > _MOST_UNPACKED:
            raise _LieError(f"compressed tables of {_number(body, 0)} bytes")
        try:
            tables = zlib.decompressobj().decompress(body[4:], _MOST_UNPACKED)
        except zlib.error:
            return
        if depth < _DEEPEST:
            self._walk(memoryview(tables), depth + 1)

    def _read(self, kind: bytes, body: memoryview) -> None:
        track = self._track
        if kind == b"hdlr":
            track.is_sound = track.is_sound or bytes(body[8:12]) == b"soun"
        elif kind in (b"stsz", b"stz2"):
            track.size = _number(body, 4) if kind == b"stsz" else 0
            track.samples = _number(body, 8)
            if not track.size and track.samples > 2 * len(body):  # half a byte each, at least
                raise _LieError(f"{track.samples} samples in a table of {len(body)} bytes")
        elif kind == b"stts":
            track.ticks = (_number(body, 4), _number(body, 12))
        elif kind == b"stsc":
            track.runs = body[8:]
        elif kind in (b"stco", b"co64"):
            track.chunks = min(_number(body, 4), len(body) // 4)
        elif kind == b"elst":
            track.edits = min(_number(body, 4), len(body) // 12)
        elif kind == b"trun":
            self._add_run(_number(body, 4), _number(body, 0), len(body))

    def _add_run(self, samples: int, flags: int, length: int) -> None:
        """Count the samples of a fragment: what is said of each takes four bytes, what is said of none takes none."""
        each = 4 * bin(flags & 0xF00).count("1")
        if samples * each > length or samples > self._size:
            raise _LieError(f"{samples} samples in a fragment")
        self._add(samples)

    def _add(self, entries: int) -> None:
        self._entries += entries
        if self._entries > _MOST_SAMPLES:
            raise _LieError(f"more than {_MOST_SAMPLES} samples")

    def _settle(self) -> None:
        """Judge the track that ends here."""
        track, self._track = self._track, _Track()
        if track.size and track.entries > self._size:  # a file that is cut off has some of them
            raise _LieError(f"{track.entries} samples of {track.size} bytes")
        if track.in_chunks > _SOUND_PER_BYTE * self._size:
            raise _LieError(f"{track.in_chunks} samples in its chunks")
        if track.edits > _FEW_EDITS and track.edits * track.samples > _MOST_EDITED:
            raise _LieError(f"{track.edits} edits of {track.samples} samples")
        self._add(track.entries)


def check_claims(path: Path) -> None:
    """Check that an MP4 or MOV does not claim more than it can hold; whatever else passes.

    Memory: its tables, which is the file without pictures and sound.

    Raises:
        NotAVideoError: it does.
    """
    found = path.stat()
    _check_claims(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _check_claims(path: Path, size: int, changed: int) -> None:
    try:
        with path.open("rb") as file:
            _Claims(size).go_through(file)
    except OSError as error:
        raise NotAVideoError(
            f"Expected a video file, got {path}, which cannot be read ({error.strerror}); check whether you may read "
            "it, and its disk."
        ) from error
    except _LieError as claim:
        raise NotAVideoError(
            f"Expected a video file, got {path}, whose {size} bytes claim {claim}: it is damaged, or made to do harm; "
            "copy or download it again."
        ) from None


def check_marks(path: Path) -> None:
    """Check that a bare stream has a mark, of MPEG's kind or JPEG's, in every 32 MiB.

    FFmpeg gathers in memory what lies between two of them, and fails badly at 2 GB.

    Raises:
        NotAVideoError: it has not.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        for begin in range(0, size - _BLOCK + 1, _BLOCK):
            file.seek(begin)
            if not any(_is_marked(file.read(_PIECE)) for _ in range(_BLOCK // _PIECE)):
                raise NotAVideoError(
                    f"Expected a video file, got {path}, which holds no picture in {_BLOCK} bytes from byte {begin} "
                    "on; cut that out, or convert what plays of it to .mkv first."
                )


def _is_marked(data: bytes) -> bool:
    return _MARK in data or _PICTURE in data


def _box(head: bytes, room: int) -> tuple[bytes, int, int]:
    """Kind, begin and end of the content of a box, counted from where the box begins; it ends within ``room``."""
    length, begin = _number(head, 0), 8
    if length == 1:
        length, begin = int.from_bytes(head[8:16], "big"), 16
    return head[4:8], begin, min(length or room, room)


def _number(data: bytes | memoryview, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
