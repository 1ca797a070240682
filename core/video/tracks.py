"""The streams that travel beside the picture, copied where the container can hold them."""

import io
import math
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

import av
from av.container import OutputContainer
from av.stream import Stream

from .window import Window

AnyPacket: TypeAlias = "av.Packet[Any]"

_FINE = Fraction(1, 1_000_000)


class Track(Protocol):
    """Turns the packets of one source stream into packets of the output.

    Attributes:
        name: what to call the source stream in messages.
        faults: how often each thing was wrong with the packets of the source.
    """

    name: str
    faults: Counter[str]

    def feed(self, packet: AnyPacket) -> list[AnyPacket]:
        """Return what is to be written for ``packet``."""

    def flush(self) -> list[AnyPacket]:
        """Return what is left at the end."""


def fits(container: str, build: Callable[[OutputContainer], object]) -> bool:
    """Whether the muxer ``container`` takes what ``build`` adds; a header is written to memory to find out."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            build(trial)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def describe(stream: Stream) -> str:
    """Return a short name for messages: ``audio #1 (aac, eng)``."""
    codec = "unknown codec" if stream.codec_context is None else stream.codec_context.codec.canonical_name
    return f"{stream.type} #{stream.index} ({', '.join(filter(None, (codec, stream.language)))})"


class CopyTrack:
    """Passes packets on unchanged, shifted to the output's timeline."""

    def __init__(self, output: OutputContainer, source: Stream, window: Window) -> None:
        self.name, self.faults = describe(source), Counter[str]()
        self._stream = output.add_stream_from_template(source, opaque=True)
        keep_labels(source, self._stream)
        self._window = window
        self._clip = source.type == "subtitle"
        self._last_dts: int | None = None

    @property
    def stream(self) -> Stream:
        """The stream of the output."""
        return self._stream

    def feed(self, packet: AnyPacket) -> list[AnyPacket]:
        """Return ``packet`` shifted, or nothing if it lies outside the window."""
        times = packet_span(packet)
        if times is None or not self._window.overlaps(*times):
            return []
        if self._clip:
            self._clip_start(packet, times[0])
        if packet.is_corrupt:
            self.faults["damaged packets were copied as they are"] += 1
        shift_packet(packet, self._window.origin)
        if self._last_dts is not None and packet.dts is not None and packet.dts <= self._last_dts:
            self.faults["packets out of order were moved behind the one before"] += 1
            packet.dts = self._last_dts + 1
            packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
        self._last_dts = packet.dts
        packet.stream = self._stream
        return [packet]

    def _clip_start(self, packet: AnyPacket, start: Fraction) -> None:
        begin = self._window.begin
        if begin is not None and start < begin and packet.duration:
            late = round((begin - start) / packet.time_base)
            packet.duration = packet.duration - late
            packet.pts = packet.dts = (packet.pts or 0) + late

    def flush(self) -> list[AnyPacket]:
        """Return nothing: no packet is kept back."""
        return []


def keep_labels(source: Stream, output: Stream) -> None:
    """Give ``output`` the language, title and disposition of ``source``."""
    technical = ("DURATION", "NUMBER_OF_", "_STATISTICS_", "BPS", "ENCODER", "VENDOR_ID")
    output.metadata.update({k: v for k, v in source.metadata.items() if not k.upper().startswith(technical)})
    output.disposition = source.disposition


def packet_span(packet: AnyPacket) -> tuple[Fraction, Fraction] | None:
    """Return start and duration of a packet in seconds; None for an empty or timeless one."""
    ticks = packet.dts if packet.pts is None else packet.pts
    if ticks is None or packet.size == 0:
        return None
    return ticks * packet.time_base, (packet.duration or 0) * packet.time_base


def shift_packet(packet: AnyPacket, origin: Fraction) -> None:
    """Move a packet so that ``origin`` becomes 0; to a microsecond, if its ticks are too coarse, as sound's in AVI."""
    if (origin / packet.time_base).denominator != 1:
        parts = math.ceil(packet.time_base / _FINE)
        packet.pts = None if packet.pts is None else packet.pts * parts
        packet.dts = None if packet.dts is None else packet.dts * parts
        packet.duration = (packet.duration or 0) * parts
        packet.time_base = packet.time_base / parts
    ticks = round(origin / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts - ticks
    packet.dts = None if packet.dts is None else packet.dts - ticks


def flush_all(tracks: Iterable[Track]) -> list[AnyPacket]:
    """Return what all tracks still hold."""
    return [packet for track in tracks for packet in track.flush()]
