"""Segments of a picture: where they are stored, and how they become one stream again."""

import os
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from ..errors import EncoderError
from .source import find_video_stream, open_source
from .tracks import AnyPacket

_MOV_CODECS = {"prores", "png"}
_SEI_TYPES = (39, 40)
_HVCC_HEADER = 22
_PARENTS = {b"moov", b"trak", b"mdia"}


def segment_suffix(codec: str) -> str:
    """The container for segments of this codec: one that keeps times exactly, except for FFV1, which mkv alone holds.

    FFV1's result is an mkv too, so that its times are rounded to a millisecond once, here, and not again.
    """
    return ".mkv" if codec == "ffv1" else ".mov" if codec in _MOV_CODECS else ".mp4"


@dataclass
class Timeline:
    """When the frames of a series of segments are shown, in ticks.

    Attributes:
        times: presentation times in order. Peak memory: 8 bytes a frame.
        delay: the most places that a packet comes later in a file than in presentation.
        end: when the last frame ends.
    """

    times: "array[int]" = field(default_factory=lambda: array("q"))
    delay: int = 0
    end: int = 0

    def decode_time(self, index: int) -> int:
        """The decoding time of the ``index``-th packet: before its presentation, after the packet before it.

        It is the (index - delay)-th presentation time. The first ones lie before the first presentation by as much as
        the last ones lie behind, so that decoding takes as long as presentation: FFmpeg takes the shorter of the two
        for the length of an mp4. They do not fall below 0 on account of that where the presentation begins later,
        since FFmpeg loses such a beginning when it reads an mp4.
        """
        times, delay = self.times, self.delay
        if index >= delay:
            return times[index - delay]
        lead = times[-1] - times[-1 - delay]
        if times[0] > 0:
            lead = min(lead, times[0])
        lead = max(lead, delay)
        return times[0] - lead + index * lead // delay

    def last_decode_time(self, time: int) -> int:
        """The decoding time of the last packet, of this presentation time.

        Where the first ones do not lie early enough, the last one lies late, for decoding to take as long.
        """
        late = time - (self.times[0] - self.decode_time(0))
        return max(self.decode_time(len(self.times) - 1), late)

    def last_duration(self, time: int) -> int:
        """Ticks to give the last packet, of this presentation time, so that decoding takes as long as presentation.

        With frames reordered that packet need not be the last frame to be shown; it may claim the time of those after.
        """
        decoded = self.last_decode_time(time) - self.decode_time(0)
        return max(min(self.end - self.times[0] - decoded, self.end - time), 1)

    def shift(self, ticks: int) -> None:
        """Move all times so that ``ticks`` becomes 0."""
        self.times = array("q", (time - ticks for time in self.times))
        self.end -= ticks

    def duration(self, time: int) -> int:
        """Ticks that the frame of this presentation time is shown."""
        following = bisect_right(self.times, time)
        return (self.times[following] if following < len(self.times) else self.end) - time


def joined(segments: Sequence[Path], origin: Fraction = Fraction(0)) -> Iterator[AnyPacket]:
    """Yield the packets of all segments as one stream: presentation times kept, decoding times made anew.

    The segments are read twice, one packet at a time.

    Args:
        segments: files of one video stream each, in order.
        origin: the time in seconds that becomes 0.

    Raises:
        EncoderError: the segments do not make one stream.
    """
    timeline = read_timeline(segments)
    index = ticks = 0
    for path in segments:
        for packet in _packets(path):
            if index == 0:
                ticks = round(origin / packet.time_base)
                timeline.shift(ticks)
            packet.pts = (packet.pts or 0) - ticks
            packet.dts = timeline.decode_time(index)
            index += 1
            last = index == len(timeline.times)
            if last:
                packet.dts = timeline.last_decode_time(packet.pts)
            packet.duration = timeline.last_duration(packet.pts) if last else timeline.duration(packet.pts)
            yield packet


def read_timeline(segments: Sequence[Path]) -> Timeline:
    """Read the times of all packets, and check that the segments make one stream.

    Raises:
        EncoderError: they were encoded differently, are out of order, or have packets without times.
    """
    timeline = Timeline()
    first: tuple[object, ...] | None = None
    for path in segments:
        with open_source(path) as container:
            stream = find_video_stream(container, path)
            kind = _kind(stream)
            if first is not None and kind != first:
                raise _unlike(path, "the codec, size, time base and header of the segments before it")
            first = kind
            _append(timeline, path, _arrivals(container, stream))
    return timeline


def _arrivals(container: InputContainer, stream: VideoStream) -> "tuple[array[int], int] | None":
    """The presentation times of all packets as stored, and the last packet's duration; None if a time is missing."""
    arrived, duration = array("q"), 0
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None:
            return None
        arrived.append(packet.pts)
        duration = packet.duration or 0
    return arrived, duration


def _append(timeline: Timeline, path: Path, found: "tuple[array[int], int] | None") -> None:
    arrived, duration = found or (array("q"), 0)
    times = array("q", sorted(arrived))
    before = timeline.times[-1] if timeline.times else None
    if not times or (before is not None and times[0] < before):
        raise _unlike(path, "frames with times" + ("" if before is None else f" after {before}"))
    late = max(index + 1 - bisect_right(times, time) for index, time in enumerate(arrived))
    timeline.delay = max(timeline.delay, late)
    timeline.times.extend(times)
    shown = _shown_ticks(path)
    timeline.end = max(times[-1] + 1, times[-1] + duration if shown is None else times[0] + shown)


def _kind(stream: VideoStream) -> tuple[object, ...]:
    context = stream.codec_context
    codec = context.codec.canonical_name
    header = bytes(context.extradata or b"")
    if codec == "hevc":
        header = _without_sei(header)
    return codec, context.width, context.height, context.pix_fmt, stream.time_base, header


def _without_sei(header: bytes) -> bytes:
    """An hvcC box (ISO/IEC 14496-15, 8.3.3.1) less its SEI messages.

    x265 writes its version and its number of threads there, which differ between machines and change no picture.
    """
    if len(header) <= _HVCC_HEADER or header[0] != 1:
        return header
    kept, at = header[:_HVCC_HEADER], _HVCC_HEADER + 1
    for _ in range(header[_HVCC_HEADER]):
        kind, count = header[at] & 0x3F, int.from_bytes(header[at + 1 : at + 3], "big")
        end = at + 3
        for _ in range(count):
            end += 2 + int.from_bytes(header[end : end + 2], "big")
        kept += b"" if kind in _SEI_TYPES else header[at:end]
        at = end
    return kept


def _unlike(path: Path, expected: str) -> EncoderError:
    return EncoderError(f"Expected {path} to hold {expected}; delete the job's folder and run the job afresh.")


def _packets(path: Path) -> Iterator[AnyPacket]:
    with open_source(path) as container:
        for packet in container.demux(find_video_stream(container, path)):
            if packet.size:
                yield packet


def _shown_ticks(path: Path) -> int | None:
    """The length that an mp4 or mov of one stream gives its presentation, in ticks; None for other files.

    FFmpeg reports the time it takes to decode instead, which is shorter where frames are reordered and far apart.
    """
    with path.open("rb") as file:
        end = path.stat().st_size
        while file.tell() + 8 <= end:
            size, kind = struct.unpack(">I4s", file.read(8))
            begin = file.tell() - 8
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            if kind == b"mdhd":
                version = file.read(4)[0]
                file.seek(20 if version else 12, os.SEEK_CUR)
                return int.from_bytes(file.read(8 if version else 4), "big")
            if size < 8:
                return None
            if kind not in _PARENTS:
                file.seek(begin + size)
    return None
