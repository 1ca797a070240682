"""What the texts and the profile of a PNG picture unpack to, before FFmpeg unpacks them whole."""

import zlib

_MOST_UNPACKED = 1 << 24
"""Bytes; the largest profiles have a few million."""

_PIECE = 1 << 20
_PACKED = (b"zTXt", b"iCCP")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\x8aMNG\r\n\x1a\n")


def unpacks_too_much(data: bytes) -> bool:
    """Whether the packed texts and the profile of a picture (PNG, 3rd edition, 11.3) come to more than 16 MiB.

    FFmpeg holds every text several times: half a megabyte of a file took six gigabytes.

    Args:
        data: a picture, or chunks of one as in APNG; what is no PNG unpacks to nothing.
    """
    left, at = _MOST_UNPACKED, 8 if data.startswith(_SIGNATURES) else 0
    while at + 8 <= len(data) and left >= 0:
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in _PACKED:
            _, _, packed = data[at + 8 : end].partition(b"\0")
            left -= _unpacked(packed[1:], left)  # behind the number of the method
        at = end + 4  # the checksum
    return left < 0


def _unpacked(packed: bytes, most: int) -> int:
    """Bytes that a stream unpacks to, counted until they are more than ``most``."""
    stream, count = zlib.decompressobj(), 0
    try:
        while packed and not stream.eof and count <= most:
            count += len(stream.decompress(packed, _PIECE))
            packed = stream.unconsumed_tail
    except zlib.error:  # FFmpeg gets no further either
        pass
    return count
