"""MP4 files whose tables say whatever is wanted; the picture is one JPEG, three times."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
WIDTH, HEIGHT = 64, 32


@dataclass(frozen=True)
class Movie:
    """What the tables say.

    Attributes:
        sizes: bytes of the samples; a pair of numbers is (bytes of each, how many).
        times: rows (samples, ticks of each).
        offsets: rows (samples, ticks later).
        runs: rows (first chunk, samples in a chunk, 1).
        chunks: how many, all at the same place.
        edits: rows (ticks, first tick, 0x10000).
        scale: ticks a second.
        duration: in ticks.
        tracks: how many, all the same.
        more: further boxes of the movie, and after it.
    """

    sizes: tuple[int, int] | None = None
    times: Sequence[tuple[int, int]] = ((3, 1),)
    offsets: Sequence[tuple[int, int]] = ()
    runs: Sequence[tuple[int, int, int]] = ((1, 3, 1),)
    chunks: int = 1
    edits: Sequence[tuple[int, int, int]] = ()
    scale: int = 25
    duration: int = 3
    tracks: int = 1
    more: tuple[bytes, bytes] = (b"", b"")


def movie(what: Movie) -> bytes:
    """The file."""
    head = len(_head(what, 0)) + len(what.more[1]) + 8
    return _head(what, head) + what.more[1] + box(b"mdat", jpeg() * 3)


def fragment(samples: int) -> bytes:
    """A piece of a movie that claims so many samples, and says nothing of each."""
    header = full(b"tfhd", struct.pack(">III", 1, 1, 1), flags=0x18)
    run = full(b"trun", struct.pack(">I", samples))
    return box(b"moof", full(b"mfhd", struct.pack(">I", 1)), box(b"traf", header, run))


FRAGMENTED = struct.pack(">I4sI4sIIIIII", 40, b"mvex", 32, b"trex", 0, 1, 1, 1, 1, 0)
"""What a movie says that has fragments."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box."""
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    """A box with a version, 0, and flags."""
    return box(kind, struct.pack(">I", flags), *parts)


@cache
def jpeg(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A black picture; sizes over 4096 are only claimed."""
    frame = av.VideoFrame(min(width, 4096), min(height, 4096), "yuvj420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    coder = av.CodecContext.create("mjpeg", "w")
    coder.width, coder.height, coder.pix_fmt = frame.width, frame.height, "yuvj420p"
    coder.time_base, frame.pts = Fraction(1, 25), 0
    data = bytearray(bytes(coder.encode(frame)[0]))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _head(what: Movie, place: int) -> bytes:
    mvhd = full(
        b"mvhd",
        struct.pack(">IIIIIH", 0, 0, what.scale, what.duration, 0x10000, 0x100),
        bytes(10) + _MATRIX + bytes(24),
        struct.pack(">I", 99),
    )
    tracks = (_track(what, place, number + 1) for number in range(what.tracks))
    return box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"moov", mvhd, *tracks, what.more[0])


def _track(what: Movie, place: int, number: int) -> bytes:
    size = struct.pack(">II", WIDTH << 16, HEIGHT << 16)
    tkhd = full(b"tkhd", struct.pack(">5I", 0, 0, number, 0, what.duration), bytes(16) + _MATRIX + size, flags=7)
    edits = box(b"edts", _table(b"elst", what.edits)) if what.edits else b""
    kept = box(b"dinf", full(b"dref", struct.pack(">I", 1), full(b"url ", flags=1)))
    return box(
        b"trak",
        tkhd,
        edits,
        box(
            b"mdia",
            full(b"mdhd", struct.pack(">5I", 0, 0, what.scale, what.duration, 0)),
            full(b"hdlr", struct.pack(">I4s", 0, b"vide"), bytes(13)),
            box(b"minf", full(b"vmhd", bytes(8)), kept, _samples(what, place)),
        ),
    )


def _samples(what: Movie, place: int) -> bytes:
    entry = box(
        b"mjpg",
        bytes(6) + struct.pack(">H", 1) + bytes(16),
        struct.pack(">HHIIIH", WIDTH, HEIGHT, 0x480000, 0x480000, 0, 1),
        bytes(32) + struct.pack(">Hh", 24, -1),
    )
    count = len(jpeg())
    sizes = struct.pack(">II", *what.sizes) if what.sizes else struct.pack(">5I", 0, 3, count, count, count)
    return box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        _table(b"stts", what.times),
        _table(b"ctts", what.offsets) if what.offsets else b"",
        _table(b"stsc", what.runs),
        full(b"stsz", sizes),
        _table(b"stco", [(place,)] * what.chunks),
    )


def _table(kind: bytes, rows: Sequence[tuple[int, ...]]) -> bytes:
    return full(kind, struct.pack(">I", len(rows)), *(struct.pack(f">{len(row)}I", *row) for row in rows))
