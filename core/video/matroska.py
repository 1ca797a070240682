"""What Matroska holds, and the shape of its pixels, which PyAV cannot hand to FFmpeg's muxer."""

import zlib
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av

from ..config import LARGEST_SIDE
from ..errors import EncoderError

_SEGMENT, _TRACKS, _ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_TRACK_TYPE, _LACING, _MAX_ADDITION, _VOID, _CRC = 0x83, 0x9C, 0x55EE, 0xEC, 0xBF
_DISPLAY = (0x54B0, 0x54BA)
"""DisplayWidth and DisplayHeight (RFC 9559, 5.1.4.1.28)."""

_DISPLAY_UNIT = 0x54B2
"""What they count; pixels where it is left out, which is all that WebM knows."""

_HEAD = 1 << 16
_CHECKSUM = 6
"""Bytes of a CRC-32 element."""


@cache
def matroska_codecs() -> frozenset[str]:
    """The codecs whose packets FFmpeg's Matroska muxer takes; Cinepak is not among them."""
    with av.open(BytesIO(), "w", format="matroska") as container:
        return frozenset(container.supported_codecs)


def store_aspect(path: Path, height: int, ratio: Fraction) -> bool:
    """Write how wide the picture is to be shown into a finished file of FFmpeg's Matroska muxer, of the same length.

    Room is made by what says nothing: voids, defaults, lengths of eight bytes.

    Args:
        path: the file; all its video tracks are meant.
        height: pixels down.
        ratio: width over height of the picture as it is shown.

    Returns:
        Whether there was room.

    Raises:
        EncoderError: the file is not laid out as FFmpeg lays it out.
    """
    shape = ratio.limit_denominator(LARGEST_SIDE)
    times = max(round(height / shape.denominator), 1)
    size = (shape.numerator * times, shape.denominator * times)
    with path.open("r+b") as file:
        try:
            begin, tracks = _tracks_with(path, file.read(_HEAD), size)
        except IndexError as error:
            raise _not_ours(path) from error
        if not tracks:
            return False
        file.seek(begin)
        file.write(tracks)
    return True


def _tracks_with(path: Path, head: bytes, size: tuple[int, int]) -> tuple[int, bytes]:
    """Where the content of the Tracks element begins, and what is to stand there; empty if there is no room."""
    begin, end = _find_tracks(path, head)
    children = list(_children(head[begin:end]))
    room = end - begin - (_CHECKSUM if children[0][0] == _CRC else 0)
    for padding in (0, 1):  # a void has at least two bytes
        tracks = b"".join(_with_size(kind, body, size, padding) for kind, body in children if kind != _CRC)
        spare = room - len(tracks)
        if spare != 1:
            break
    if spare < 0 or spare == 1:
        return begin, b""
    tracks += _void(spare) if spare else b""
    checksum = _element(_CRC, zlib.crc32(tracks).to_bytes(4, "little")) if children[0][0] == _CRC else b""
    return begin, checksum + tracks


def _not_ours(path: Path) -> EncoderError:
    return EncoderError(f"Expected the tracks at the beginning of {path}, found none; write .mp4 or .mov.")


def _find_tracks(path: Path, head: bytes) -> tuple[int, int]:
    """Where the content of the Tracks element begins and ends."""
    at = 0
    while at < len(head):
        kind, begin, size = _header(head, at)
        if kind == _TRACKS and begin + size <= len(head):
            return begin, begin + size
        at = begin if kind == _SEGMENT else begin + size
    raise _not_ours(path)


def _with_size(kind: int, body: bytes, size: tuple[int, int], padding: int) -> bytes:
    """A child of Tracks as short as it can be; a video track gets the size it is shown in."""
    if kind != _ENTRY:
        return _element(kind, body)
    parts = [(k, b) for k, b in _children(body) if k not in (_VOID, _LACING) and (k != _MAX_ADDITION or any(b))]
    if (_TRACK_TYPE, b"\x01") in parts:
        shown = b"".join(
            _element(name, value.to_bytes(-(-value.bit_length() // 8) + more, "big"))
            for name, value, more in zip(_DISPLAY, size, (0, padding), strict=True)
        )
        parts = [(k, _without_size(b) + shown if k == _VIDEO else b) for k, b in parts]
    return _element(kind, b"".join(_element(k, b) for k, b in parts))


def _without_size(video: bytes) -> bytes:
    return b"".join(_element(k, b) for k, b in _children(video) if k not in (*_DISPLAY, _DISPLAY_UNIT))


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, begin, size = _header(data, at)
        yield kind, data[begin : begin + size]
        at = begin + size


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """Identifier, begin and size of the content of the element at ``at`` (RFC 8794, 4 and 5)."""
    length = 9 - data[at].bit_length()
    kind, at = int.from_bytes(data[at : at + length], "big"), at + length
    length = 9 - data[at].bit_length()
    size = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return kind, at + length, size


def _void(length: int) -> bytes:
    """An element without meaning, of ``length`` bytes, 2 at least; a long one says its size in eight bytes."""
    if length <= 128:
        return _element(_VOID, bytes(length - 2))
    return bytes([_VOID]) + (length - 9 | 1 << 56).to_bytes(8, "big") + bytes(length - 9)


def _element(kind: int, body: bytes) -> bytes:
    length = next(n for n in range(1, 9) if len(body) < (1 << 7 * n) - 1)
    size = (len(body) | 1 << 7 * length).to_bytes(length, "big")
    return kind.to_bytes(-(-kind.bit_length() // 8), "big") + size + body
