"""Synthetic videos whose frames carry their number as eight blocks, black for 0 and white for 1."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.subtitles.stream import SubtitleStream
from torch import Tensor

BITS = 8


@dataclass(frozen=True)
class Clip:
    """What ``make_clip`` writes; a sound of 48 kHz is added for ``audio``, one line a second for ``subtitles``."""

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    width: int = 64
    height: int = 32
    pts: Sequence[int] = tuple(range(20))
    time_base: Fraction = Fraction(1, 25)
    aspect: Fraction = Fraction(1)
    rotation: int = 0
    mirrored: bool = False
    audio: str | None = None
    subtitles: str | None = None
    chapters: tuple[tuple[int, int], ...] = ()
    attachment: bool = False
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def numbered(number: int, width: int, height: int) -> np.ndarray:
    """(H,W,3) uint8 picture of the bits of ``number``, left to right, least first."""
    column = np.minimum(np.arange(width) * BITS // width, BITS - 1)
    row = ((number >> column) & 1) * 255
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)


@pytest.fixture
def read_number() -> Callable[[Tensor], int]:
    """Read back the number of a (3,H,W) frame."""

    def read(image: Tensor) -> int:
        _, height, width = image.shape
        columns = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
        return sum(1 << bit for bit, x in enumerate(columns) if image[:, height // 2, x].mean() > 0.5)

    return read


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[[str, Clip], Path]:
    """Write a clip to ``tmp_path`` and return its path."""

    def make(name: str, clip: Clip) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", container_options=clip.container) as output:
            output.metadata.update(clip.metadata)
            video = _video_stream(output, clip)
            audio = output.add_stream(clip.audio, rate=48_000) if clip.audio else None
            if audio is not None:
                audio.metadata["language"] = "fra"
                audio.bit_rate = 96_000
            text = _text_stream(output, clip) if clip.subtitles else None
            if clip.attachment:
                output.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font")
            if clip.chapters:
                output.set_chapters([_chapter(i, *span) for i, span in enumerate(clip.chapters)])
            for number, pts in enumerate(clip.pts):
                frame = av.VideoFrame.from_ndarray(numbered(number, clip.width, clip.height), format="rgb24")
                frame = frame.reformat(format=clip.pix_fmt, dst_colorspace="itu709")
                frame.pts, frame.time_base = pts, clip.time_base
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
            if audio is not None:
                _write_sound(output, audio, float(clip.pts[-1] * clip.time_base) + 0.1)
            if text is not None:
                _write_text(output, text)
        return path

    return make


def _video_stream(output: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    quiet = {"libx264": {"preset": "ultrafast", "crf": "10"}, "libx265": {"x265-params": "log-level=error"}}
    stream = output.add_stream(clip.codec, rate=25, options={**quiet.get(clip.codec, {}), **clip.options})
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pix_fmt
    stream.codec_context.time_base = stream.time_base = clip.time_base
    stream.codec_context.sample_aspect_ratio = clip.aspect
    stream.thread_count = 1
    stream.metadata["language"] = "deu"
    if clip.rotation or clip.mirrored:
        stream.set_display_rotation(-clip.rotation, hflip=clip.mirrored)
    return stream


def _write_sound(output: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    samples = (np.sin(np.arange(int(48_000 * seconds)) * 0.05) * 8_000).astype(np.int16)
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


def _text_stream(output: av.container.OutputContainer, clip: Clip) -> SubtitleStream:
    stream = output.add_stream(clip.subtitles)
    stream.codec_context.subtitle_header = _ASS_HEADER
    stream.codec_context.time_base = Fraction(1, 1000)
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "eng"
    return stream


def _write_text(output: av.container.OutputContainer, stream: SubtitleStream) -> None:
    for second in range(3):
        packet = av.Packet(f"line {second}".encode())
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = second * 1000
        packet.duration = 800
        output.mux(packet)


def _chapter(number: int, start: int, end: int) -> dict[str, object]:
    title = {"title": f"part {number}"}
    return {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": title}


@pytest.fixture
def clip_type() -> type[Clip]:
    """``Clip``, for test modules (which cannot import their conftest)."""
    return Clip


@pytest.fixture
def smooth_clip() -> Tensor:
    """(T,3,H,W) smooth random colours in [0,1]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(8, 3, 4, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bicubic").clamp(0, 1)
