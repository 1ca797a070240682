"""How long a video should be: what its header and its container say, compared with what came."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from .probe import VideoInfo

_TOLERANCE = Fraction(1, 10)
"""Seconds by which a header's duration may be off; and two frames."""

_SEGMENT, _EBML = 0x18538067, 0x1A45DFA3


def missing_at_end(info: VideoInfo, packets: int | None, until: int) -> Iterator[str]:
    """Sentences on what the file says it has but does not.

    Args:
        info: what its header says.
        packets: pictures that were in it; None if it was not read from its beginning.
        until: the end of its last frame, in ticks.
    """
    missing = missing_bytes(info.path)
    if missing:
        yield f"The file is cut off: {missing} bytes are missing at its end."
    if info.counted and info.frames and packets is not None and packets < info.frames:
        yield f"The header counts {info.frames} frames, but there are only {packets}."
    end, said = _ends(info, until)
    if said is not None and end + _slack(info) < said:
        yield f"The header says {float(said):.3f} s, but the last frame ends at {float(end):.3f} s."


def more_than_told(info: VideoInfo, packets: int | None, until: int) -> Iterator[str]:
    """Sentences on what the file has but does not say; nothing of it is lost. Arguments as above."""
    if info.counted and info.frames and packets is not None and packets > info.frames:
        yield f"The header counts {info.frames} frames, but there are {packets}; all were read."
    end, said = _ends(info, until)
    if said is not None and end > said + _slack(info):
        yield f"The header says {float(said):.3f} s, but the last frame ends at {float(end):.3f} s; all were read."


def _slack(info: VideoInfo) -> Fraction:
    return max(_TOLERANCE, 2 / info.frame_rate)


def _ends(info: VideoInfo, until: int) -> tuple[Fraction, Fraction | None]:
    """Seconds at which the video ends and should end, from the first frame or from zero, as the header means it."""
    from_zero = until * info.time_base
    from_first = from_zero - info.start_time
    said = info.stored_duration
    if said is None:
        return from_first, None
    return min((from_first, from_zero), key=lambda end: abs(end - said)), said


def missing_bytes(path: Path) -> int:
    """Bytes by which a file is shorter than its container says: MP4 and MOV, AVI, Matroska and WebM; else 0."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            said = int.from_bytes(head[4:8], "little")
            end = said + 8 if 0 < said < 2**32 - 1 else 0
        elif int.from_bytes(head[:4], "big") == _EBML:
            end = _end_of_segment(file, size)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            end = _end_of_boxes(file, size)
        else:
            end = 0
    return max(end - size, 0)


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the last box of an MP4 ends."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return 0
        position += length
    return position


def _end_of_segment(file: BinaryIO, size: int) -> int:
    """Where the Segment of a Matroska file ends; 0 if it does not say."""
    file.seek(4)
    length = _vint(file)
    if length is None or length > size:
        return 0
    file.seek(length, os.SEEK_CUR)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return 0
    length = _vint(file)
    return 0 if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """Read EBML's length of variable size; None if it is the one that means unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + file.read(extra), "big")
    return None if value == (1 << (7 * (extra + 1))) - 1 else value
