"""The streams that travel beside the picture: copied where the container can hold them, else converted or dropped."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

AnyPacket: TypeAlias = "av.Packet[Any]"

_AUDIO_ENCODERS = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus"}
_TEXT_ENCODERS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_TEXT_CODECS = {"subrip", "ass", "webvtt", "mov_text", "text"}
_BITS_PER_CHANNEL = 96_000
_COMMON_RATE = 48_000
_JITTER = Fraction(5, 1000)
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


@dataclass(frozen=True)
class Window:
    """Which part of the source is kept, in seconds of the source's timeline.

    Attributes:
        origin: the time that becomes 0.
        begin: what ends before is left out; None keeps all.
        end: what starts at or after is left out; None keeps all.
    """

    origin: Fraction
    begin: Fraction | None = None
    end: Fraction | None = None

    def overlaps(self, start: Fraction, duration: Fraction) -> bool:
        """Whether [start, start + duration) has a part in the window; nothing lasts less than a point."""
        if self.end is not None and start >= self.end:
            return False
        return self.begin is None or start >= self.begin or start + duration > self.begin

    def is_over(self, start: Fraction) -> bool:
        """Whether ``start`` lies behind the window."""
        return self.end is not None and start >= self.end


class Track(Protocol):
    """Turns the packets of one source stream into packets of the output."""

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
        shift_packet(packet, self._window.origin)
        if self._last_dts is not None and packet.dts is not None and packet.dts <= self._last_dts:
            late = self._last_dts + 1 - packet.dts
            packet.dts += late
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


class AudioTrack:
    """Decodes audio and encodes it anew (AAC, or Opus for WebM)."""

    def __init__(self, output: OutputContainer, source: Stream, window: Window) -> None:
        assert isinstance(source, AudioStream)
        self.encoder = _AUDIO_ENCODERS[output.format.name]
        rates = av.Codec(self.encoder, "w").audio_rates or []
        rate = source.codec_context.sample_rate if source.codec_context.sample_rate in rates else _COMMON_RATE
        self._source, self._window, self._next = source, window, Fraction(0)
        self._stream = cast(AudioStream, output.add_stream(self.encoder, rate=rate))
        context: AudioCodecContext = self._stream.codec_context
        layout, channels = source.codec_context.layout.name, source.codec_context.channels
        context.layout = _LAYOUTS.get(channels, layout) if "channels" in layout else layout  # "2 channels": not said
        context.bit_rate = _BITS_PER_CHANNEL * channels
        context.open()
        keep_labels(source, self._stream)

    @staticmethod
    def accepts(source: Stream) -> bool:
        """Whether ``source`` is sound that can be decoded."""
        return isinstance(source, AudioStream) and source.codec_context is not None

    def feed(self, packet: AnyPacket) -> list[AnyPacket]:
        """Return the encoded packets that ``packet`` completes."""
        try:
            frames = self._source.decode(packet)
        except av.error.FFmpegError:
            return []  # a damaged packet is a short silence
        packets: list[AnyPacket] = []
        for frame in frames:
            start = self._smooth(frame)
            if self._window.overlaps(start, Fraction(frame.samples, frame.sample_rate)):
                frame.time_base = Fraction(1, frame.sample_rate)
                frame.pts = round((start - self._window.origin) * frame.sample_rate)
                packets += self._stream.encode(frame)
        return packets

    def _smooth(self, frame: av.AudioFrame) -> Fraction:
        """Return the start of ``frame`` in seconds, without the jitter of containers that round to milliseconds."""
        known = frame.pts is not None and frame.time_base is not None
        start = Fraction(frame.pts or 0) * (frame.time_base or 1) if known else self._next
        if abs(start - self._next) < _JITTER:
            start = self._next
        self._next = start + Fraction(frame.samples, frame.sample_rate)
        return start

    def flush(self) -> list[AnyPacket]:
        """Return what decoder and encoder still hold."""
        return [*self.feed(av.Packet()), *self._stream.encode(None)]


class TextTrack:
    """Decodes text subtitles and encodes them for the output's container."""

    def __init__(self, output: OutputContainer, source: Stream, window: Window) -> None:
        decoder = source.codec_context
        assert isinstance(decoder, SubtitleCodecContext)
        self._decoder = decoder
        decoder.open(strict=False)
        self.encoder = _TEXT_ENCODERS[output.format.name]
        stream = output.add_stream(self.encoder)
        encoder = stream.codec_context
        assert isinstance(encoder, SubtitleCodecContext)
        encoder.subtitle_header = decoder.subtitle_header
        encoder.time_base = Fraction(1, 1000)
        encoder.open()
        self._stream, self._encoder, self._window = stream, encoder, window
        keep_labels(source, stream)

    @staticmethod
    def accepts(source: Stream) -> bool:
        """Whether ``source`` is text rather than pictures or sound."""
        return source.codec_context is not None and source.codec_context.codec.canonical_name in _TEXT_CODECS

    def feed(self, packet: AnyPacket) -> list[AnyPacket]:
        """Return the encoded text of ``packet``, at its time and for its duration."""
        times = packet_span(packet)
        if times is None or not self._window.overlaps(*times):
            return []
        subtitle = self._decoder.decode2(packet)
        if subtitle is None:
            return []
        begin = max(times[0], self._window.begin or times[0])
        text: AnyPacket = self._encoder.encode_subtitle(subtitle)
        text.time_base = Fraction(1, 1000)
        text.pts = text.dts = round((begin - self._window.origin) * 1000)
        text.duration = round((times[0] + times[1] - begin) * 1000)
        text.stream = self._stream
        return [text]

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
    """Move a packet so that ``origin`` becomes 0."""
    ticks = round(origin / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts - ticks
    packet.dts = None if packet.dts is None else packet.dts - ticks


def flush_all(tracks: Iterable[Track]) -> list[AnyPacket]:
    """Return what all tracks still hold."""
    return [packet for track in tracks for packet in track.flush()]
