"""Streams that the output's container cannot hold as they are: decoded and encoded anew."""

from collections import Counter
from fractions import Fraction
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from .tracks import AnyPacket, describe, keep_labels, packet_span
from .window import Window

_AUDIO_ENCODERS = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus"}
_TEXT_ENCODERS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_TEXT_CODECS = {"subrip", "ass", "webvtt", "mov_text", "text"}
_BITS_PER_CHANNEL = 96_000
_COMMON_RATE = 48_000
_JITTER = Fraction(5, 1000)
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


class AudioTrack:
    """Decodes audio and encodes it anew (AAC, or Opus for WebM)."""

    def __init__(self, output: OutputContainer, source: Stream, window: Window) -> None:
        assert isinstance(source, AudioStream)
        self.name, self.faults = describe(source), Counter[str]()
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
            self.faults["damaged packets became a short silence"] += 1
            return []
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
        self.name, self.faults = describe(source), Counter[str]()
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
