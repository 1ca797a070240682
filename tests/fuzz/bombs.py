"""Files that are small, or no files at all, and claim or do something enormous; and what has to become of them.

``REFUSED`` and ``READ`` map a file's name to what writes it, and the former to the error it has to end in besides.
"""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from textovsr.tests.helpers.clips import Clip, write_clip

from .boxes import FRAGMENTED, Movie, box, fragment, jpeg, movie

_HUGE = (1, 2**31 - 1)
_MANY = 20_000_000

Maker = Callable[[Path], object]


def _bytes(content: bytes) -> Maker:
    return lambda path: path.write_bytes(content)


def _tables(**what: object) -> Maker:
    return _bytes(movie(Movie(**what)))  # type: ignore[arg-type]


def _sparse(head: bytes) -> Maker:
    def make(path: Path) -> None:
        path.write_bytes(head)
        os.truncate(path, 100 << 30)

    return make


def png(width: int, height: int, packed: bytes = b"") -> bytes:
    """A black picture of one bit a pixel: a thousandth of what it unpacks to; a chunk ``packed`` unpacks to 100 MB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = zlib.compress(bytes(min(height * (width // 8 + 1), 1 << 25)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    more = chunk(packed, b"a\0\0" + zlib.compress(b"x" * 100_000_000)) if packed else b""
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def gif(width: int, height: int, frames: int = 1) -> bytes:
    """Pictures that end after a few pixels."""
    picture = b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\xf0\0\0" + bytes(6) + picture * frames + b";"


def _compressed_tables() -> bytes:
    packed = zlib.compress(bytes(100 << 20))
    tables = box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", struct.pack(">I", 100 << 20), packed))
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", tables)


def _playlist(head: str) -> Maker:
    """A list of a whole video beside it, so that it would play."""

    def make(path: Path) -> None:
        path.write_text(head.format(whole=path.with_name("whole.ts")))

    return make


def _changing(path: Path) -> None:
    """A video whose last pictures claim to be gigantic."""
    path.write_bytes(jpeg() * 5 + jpeg(60000, 60000) * 5)


def _wide_matroska(path: Path) -> None:
    """FFV1 whose container claims 16000 pixels across and down."""
    data = write_clip(path, Clip(codec="ffv1", width=32, height=32, pts=(0, 1))).read_bytes()
    wide = data.replace(b"\xb0\x81\x20\xba\x81\x20", b"\xb0\x82\x3e\x80\xba\x82\x3e\x80")
    path.write_bytes(wide)


def _labelled(path: Path) -> None:
    long = {f"label{number}": "x" * 50_000 for number in range(40)}
    write_clip(path, Clip(attachment=True, subtitles="subrip", metadata=long, chapters=((0, 1),)))


_HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
_SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
_MPD = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    "<Representation><BaseURL>{whole}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)

REFUSED: dict[str, tuple[Maker, str]] = {
    "samples.mp4": (_tables(sizes=_HUGE, runs=((1, 2**31 - 1, 1),), times=((2**31 - 1, 1),)), "NotAVideoError"),
    "many.mp4": (_tables(sizes=(1, _MANY), runs=((1, _MANY, 1),), times=((_MANY, 1),)), "NotAVideoError"),
    "chunks.mp4": (_tables(sizes=(1, _MANY), runs=((1, 2000, 1),), chunks=10_000), "NotAVideoError"),
    "tracks.mp4": (_tables(tracks=3000), "NotAVideoError"),
    "edits.mp4": (
        lambda path: path.write_bytes(
            movie(Movie(sizes=(1, 90_000), runs=((1, 90_000, 1),), times=((90_000, 1),), edits=((9, 0, 65536),) * 5000))
            + bytes(100_000)
        ),
        "NotAVideoError",
    ),
    "fragment.mp4": (_tables(more=(FRAGMENTED, fragment(80_000_000))), "NotAVideoError"),
    "fragments.mp4": (_tables(more=(FRAGMENTED, fragment(100_000) * 1000)), "NotAVideoError"),
    "packed.mov": (_bytes(_compressed_tables()), "NotAVideoError"),
    "wide.png": (_bytes(png(16384, 16384)), "EmptyVideoError"),
    "wider.png": (_bytes(png(100_000, 100_000)), "EmptyVideoError"),
    "text.png": (_bytes(png(64, 64, b"zTXt")), "EmptyVideoError"),
    "profile.png": (_bytes(png(64, 64, b"iCCP")), "EmptyVideoError"),
    "wide.gif": (_bytes(gif(65535, 65535)), "EmptyVideoError"),
    "wide.mjpeg": (_bytes(jpeg(65500, 65500) * 5), "EmptyVideoError"),
    "wide.mkv": (_wide_matroska, "EmptyVideoError"),
    "hls.mp4": (_playlist(_HLS.format("{whole}")), "NotAVideoError"),
    "hls.m3u8": (_playlist(_HLS.format("whole.ts")), "NotAVideoError"),
    "concat.mp4": (_playlist("ffconcat version 1.0\nfile whole.ts\n"), "NotAVideoError"),
    "protocol.mp4": (_playlist("ffconcat version 1.0\nfile 'file:{whole}'\n"), "NotAVideoError"),
    "session.sdp": (_playlist(_SDP), "NotAVideoError"),
    "dash.mpd": (_playlist(_MPD), "NotAVideoError"),
    "text.txt": (_bytes(b"nothing to see\n" * 2000), "NotAVideoError"),
    "sparse.mp4": (_sparse(b""), "NotAVideoError"),
    "sparse.mkv": (_sparse(b""), "NotAVideoError"),
    "sparse.h264": (_sparse(b""), "NotAVideoError"),
    "marked.h264": (_sparse(b"\0\0\0\1\x67\x64"), "NotAVideoError"),
    "sparse.mjpeg": (_sparse(b""), "NotAVideoError"),
    "boxes.mp4": (_bytes(struct.pack(">I4s", 8, b"free") * (2 << 20) + bytes(64)), "NotAVideoError"),
    "empty.mp4": (_bytes(b""), "NotAVideoError"),
    "folder.mp4": (Path.mkdir, "NotAVideoError"),
    "pipe.mp4": (os.mkfifo, "NotAVideoError"),
    "device.mp4": (lambda path: path.symlink_to("/dev/zero"), "NotAVideoError"),
    "itself.mp4": (lambda path: path.symlink_to(path.name), "VideoNotFoundError"),
}

READ: dict[str, Maker] = {
    "plain.mp4": _tables(),
    "frames.mp4": _tables(times=((2**32 - 1, 1),)),
    "centuries.mp4": _tables(times=((3, 2**31 - 1),), scale=1, duration=2**32 - 1),
    "later.mp4": _tables(offsets=((2**31 - 1, 2**31 - 1),)),
    "earlier.mp4": _tables(offsets=((3, 2**32 - 2**31),)),
    "no-scale.mp4": _tables(scale=0),
    "fine-scale.mp4": _tables(scale=2**32 - 1),
    "label.mp4": _tables(more=(box(b"udta", box(b"\xa9nam", struct.pack(">HH", 65535, 0) + b"x" * 65535) * 50), b"")),
    "labels.mkv": _labelled,
    "changing.mjpeg": _changing,
    "large.png": _bytes(png(8000, 5000)),
    "large.gif": _bytes(gif(2000, 2000, frames=500)),
    "whole.ts": lambda path: write_clip(path, Clip()),
}
"""Those of which something can be read all the same, in bounded memory."""
