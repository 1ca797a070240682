"""Segments of a picture: where they are stored, and how they become one stream again."""

from bisect import insort
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import EncoderError
from .source import open_source
from .tracks import AnyPacket

_SUFFIX = {"prores": ".mov", "png": ".mov", "ffv1": ".mkv"}


def segment_suffix(codec: str) -> str:
    """The container that keeps the times of this codec's packets exactly."""
    return _SUFFIX.get(codec, ".mp4")


def joined(segments: Sequence[Path]) -> Iterator[AnyPacket]:
    """Yield the packets of all segments as one stream: their own presentation times, decoding times made anew.

    The i-th packet is decoded at the (i-D)-th of all presentation times, D being the largest delay of any segment: so
    decoding times grow, and none is later than its packet's presentation.
    """
    times, delay = _times(segments)
    index = 0
    for path in segments:
        with open_source(path) as container:
            for packet in container.demux(video=0):
                if packet.size == 0:
                    continue
                packet.dts = times[index - delay] if index >= delay else times[0] - (delay - index)
                index += 1
                yield packet


def _times(segments: Sequence[Path]) -> tuple[list[int], int]:
    times: list[int] = []
    delay = 0
    extradata: bytes | None = None
    for path in segments:
        with open_source(path) as container:
            stream = container.streams.video[0]
            found = bytes(stream.codec_context.extradata or b"")
            if extradata is not None and found != extradata:
                raise EncoderError(f"Expected {path} to be encoded like the segments before it; run the job afresh.")
            extradata = found
            arrived: list[int] = []
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None:
                    insort(arrived, packet.pts)
                    delay = max(delay, len(arrived) - 1 - arrived.index(packet.pts))
            times += arrived
    return times, delay
