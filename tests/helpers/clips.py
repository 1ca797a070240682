"""Synthetic videos whose frames carry their number as blocks, black for 0 and white for 1."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream
from torch import Tensor

from textovsr.core.video.source import silence_ffmpeg

BITS = 8

_QUICK = {
    "libx264": {"preset": "ultrafast", "crf": "10"},
    "libx265": {"preset": "ultrafast", "crf": "6", "x265-params": "log-level=error"},
    "libsvtav1": {"preset": "10", "crf": "4", "g": "1", "svtav1-params": "lp=1"},
    "libvpx-vp9": {"deadline": "realtime", "crf": "4", "b": "0"},
    "mpeg4": {"flags": "+qscale", "global_quality": "236"},
    "mpeg2video": {"flags": "+qscale", "global_quality": "236"},
}


@dataclass(frozen=True)
class Clip:
    """What ``write_clip`` writes; a sound of 48 kHz is added for each ``audio``, one line a second for ``subtitles``.

    ``tags`` are FFmpeg's codes of matrix, primaries, transfer and range; ``draw`` makes a frame from its number.
    """

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    width: int = 64
    height: int = 32
    pts: Sequence[int] = tuple(range(20))
    time_base: Fraction = Fraction(1, 25)
    rate: Fraction = Fraction(25)
    tags: tuple[int, int, int, int] | None = None
    draw: "Callable[[int, Clip], av.VideoFrame]" = lambda number, clip: _drawn(number, clip)
    aspect: Fraction = Fraction(1)
    rotation: int = 0
    mirrored: bool = False
    audio: str | tuple[str, ...] | None = None
    subtitles: str | None = None
    chapters: tuple[tuple[int, int], ...] = ()
    attachment: bool = False
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def sounds(self) -> tuple[str, ...]:
        """The codecs of all sounds."""
        return (self.audio,) if isinstance(self.audio, str) else self.audio or ()


def numbered(number: int, width: int, height: int, bits: int = BITS) -> np.ndarray:
    """(H,W,3) uint8 picture of the bits of ``number``, left to right, least first."""
    column = np.minimum(np.arange(width) * bits // width, bits - 1)
    row = ((number >> column) & 1) * 255
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)


def read_number(image: Tensor | np.ndarray, bits: int = BITS) -> int:
    """The number of a (3,H,W) frame in [0,1]."""
    _, height, width = image.shape
    columns = [(2 * bit + 1) * width // (2 * bits) for bit in range(bits)]
    return sum(1 << bit for bit, x in enumerate(columns) if image[:, height // 2, x].mean() > 0.5)


def write_clip(path: Path, clip: Clip) -> Path:
    """Write a clip and return its path."""
    silence_ffmpeg()
    with av.open(str(path), "w", container_options=clip.container) as output:
        output.metadata.update(clip.metadata)
        video = _video_stream(output, clip)
        sounds = [_audio_stream(output, codec) for codec in clip.sounds]
        text = _text_stream(output, clip.subtitles) if clip.subtitles else None
        if clip.attachment:
            output.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font")
        if clip.chapters:
            output.set_chapters([_chapter(i, *span) for i, span in enumerate(clip.chapters)])
        for number, pts in enumerate(clip.pts):
            frame = clip.draw(number, clip)
            frame.pts, frame.time_base = pts, clip.time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for index, audio in enumerate(sounds):
            _write_sound(output, audio, float(clip.pts[-1] * clip.time_base) + 0.1, 0.05 + 0.013 * index)
        if text is not None:
            _write_text(output, text)
    return path


def _drawn(number: int, clip: Clip) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(numbered(number, clip.width, clip.height), format="rgb24")
    return frame.reformat(format=clip.pix_fmt, dst_colorspace="itu709")


def _video_stream(output: OutputContainer, clip: Clip) -> av.VideoStream:
    stream = output.add_stream(clip.codec, rate=clip.rate, options={**_QUICK.get(clip.codec, {}), **clip.options})
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pix_fmt
    stream.codec_context.time_base = stream.time_base = clip.time_base
    stream.codec_context.sample_aspect_ratio = clip.aspect
    stream.thread_count = 1
    stream.metadata["language"] = "deu"
    if clip.tags is not None:
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = clip.tags
    if clip.rotation or clip.mirrored:
        stream.set_display_rotation(-clip.rotation, hflip=clip.mirrored)
    return stream


def _audio_stream(output: OutputContainer, codec: str) -> av.AudioStream:
    stream = output.add_stream(codec, rate=48_000)
    stream.metadata["language"] = "fra"
    stream.bit_rate = 96_000
    return stream


def _write_sound(output: OutputContainer, stream: av.AudioStream, seconds: float, pitch: float) -> None:
    samples = (np.sin(np.arange(int(48_000 * seconds)) * pitch) * 8_000).astype(np.int16)
    for start in range(0, len(samples), 1024):
        chunk = samples[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(np.repeat(chunk, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


_ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def _text_stream(output: OutputContainer, codec: str) -> SubtitleStream:
    stream = output.add_stream(codec)
    stream.codec_context.subtitle_header = _ASS_HEADER
    stream.codec_context.time_base = Fraction(1, 1000)
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "eng"
    return stream


def _write_text(output: OutputContainer, stream: SubtitleStream) -> None:
    for second in range(3):
        packet = av.Packet(f"line {second}".encode())
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = second * 1000
        packet.duration = 800
        output.mux(packet)


def _chapter(number: int, start: int, end: int) -> dict[str, object]:
    title = {"title": f"part {number}"}
    return {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": title}
