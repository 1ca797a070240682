"""What a video file holds: size, orientation, timing, colour and the streams beside the picture."""

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from ..config import LARGEST_AREA, LARGEST_SIDE, SMALLEST_SIDE
from ..errors import EmptyVideoError, VideoSizeError
from .color import ColorTags, read_tags
from .hdr import HdrMetadata
from .orientation import Orientation
from .source import demux_safely, find_video_stream, open_source

_FALLBACK_RATE, _HIGHEST_RATE = Fraction(25), Fraction(960)
_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_WITH_DURATIONS = (_MOV, "avi")
_INTERLACED_FIELD_ORDERS = range(2, 6)
_MOST_BEFORE = 10_000  # packets before the first frame: nearly three minutes at 60 a second


@dataclass(frozen=True)
class StreamInfo:
    """One audio or subtitle stream.

    Attributes:
        index: its number in the file.
        codec: FFmpeg's codec name, or ``unknown``.
        language: ISO 639 code, if the file says one.
        title: its name, if the file says one.
        channels: audio channels; 0 for subtitles.
        sample_rate: audio samples a second; 0 for subtitles.
    """

    index: int
    codec: str
    language: str | None = None
    title: str | None = None
    channels: int = 0
    sample_rate: int = 0


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        path: the file.
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the video codec.
        width: pixels across, upright, before the sample aspect ratio.
        height: pixels down, upright.
        orientation: how stored pictures are turned upright.
        sample_aspect_ratio: width over height of a pixel of the upright picture; 1 when unknown.
        frame_rate: average frames a second.
        time_base: seconds a tick of every timestamp.
        start_time: presentation time of the first frame, in seconds.
        duration: seconds of video, or None.
        frames: frames, exact where the container counts them, else estimated; None if unknown.
        pixel_format: FFmpeg's name of the decoded format.
        bit_depth: bits a sample.
        color: how samples are to be read.
        interlaced: whether the first frame is; None if not told.
        stored_duration: seconds of video as the header of its stream says, if it does.
        counted: whether ``frames`` is the container's own count.
        hdr: static HDR metadata of the first frame, or None.
        audio: the audio streams.
        subtitles: the subtitle streams.
        chapters: number of chapters.
        metadata: the tags of the file.
    """

    path: Path
    container: str
    codec: str
    width: int
    height: int
    orientation: Orientation
    sample_aspect_ratio: Fraction
    frame_rate: Fraction
    time_base: Fraction
    start_time: Fraction
    duration: Fraction | None
    frames: int | None
    pixel_format: str
    bit_depth: int
    color: ColorTags
    interlaced: bool | None
    stored_duration: Fraction | None = None
    counted: bool = False
    hdr: HdrMetadata | None = None
    audio: tuple[StreamInfo, ...] = ()
    subtitles: tuple[StreamInfo, ...] = ()
    chapters: int = 0
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def rotation(self) -> int:
        """Degrees clockwise from stored to upright: 0, 90, 180 or 270."""
        return self.orientation.rotation

    @property
    def start_ticks(self) -> int:
        """``start_time`` in ticks of ``time_base``."""
        return int(self.start_time / self.time_base)

    def frames_in(self, start: float = 0.0, duration: float | None = None) -> int | None:
        """Estimate how many frames a part has; None if the file does not tell.

        Args:
            start: in seconds.
            duration: in seconds; None is to the end.
        """
        if start == 0 and duration is None and self.frames:
            return self.frames
        if self.duration is None:
            return None
        left = max(float(self.duration) - start, 0.0)
        return max(round((left if duration is None else min(left, duration)) * self.frame_rate), 1)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; fractions become strings such as ``30000/1001``."""
        values: dict[str, Any] = _plain(asdict(self))
        values["rotation"] = self.rotation
        return values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Fraction | Path) else value


def probe(path: Path) -> VideoInfo:
    """Describe a video file; its first frame is decoded, the rest is not read.

    Raises:
        VideoNotFoundError: there is no such file.
        NotAVideoError: FFmpeg cannot open it, or it holds no moving picture.
        EmptyVideoError: not one frame can be decoded.
        VideoSizeError: the picture is too small or too large.
    """
    path = Path(path)
    with open_source(path) as container:
        stream = find_video_stream(container, path)
        _check_size(stream.codec_context.width, stream.codec_context.height, path)
        frame = _first_frame(container, stream, path)
        _check_size(frame.width, frame.height, path)
        return _describe(path, container, stream, frame)


def _check_size(width: int, height: int, path: Path) -> None:
    """Refuse what cannot be worked on; a size of 0 is not known yet."""
    sides = {width, height} - {0}
    if any(not SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides) or width * height > LARGEST_AREA:
        raise VideoSizeError(
            f"Expected a picture of at least {SMALLEST_SIDE}x{SMALLEST_SIDE} and at most {LARGEST_SIDE} pixels a side "
            f"and {LARGEST_AREA // 1_000_000} megapixels, got {width}x{height} in {path}; crop or scale it first."
        )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    stream.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(2 * LARGEST_AREA)}
    for packet in islice(demux_safely(container, [stream]), _MOST_BEFORE):
        if packet is None:
            continue
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError:
            continue
        if frames:
            return frames[0]
    raise EmptyVideoError(
        f"Expected at least one frame in {path}, got none; the file is damaged, cut off, or its pictures are of more "
        f"than {LARGEST_AREA // 1_000_000} megapixels: copy it again, or scale it first."
    )


def _describe(path: Path, container: InputContainer, stream: VideoStream, frame: av.VideoFrame) -> VideoInfo:
    orientation = Orientation.of(frame)
    time_base = stream.time_base or Fraction(1, 1000)
    rate = average_rate(stream)
    stored = _stored_duration(container, stream, time_base)
    duration = stored or _duration(container, stream, time_base)
    counted = _count(container, stream)
    width, height = frame.width, frame.height
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    if orientation.transpose:
        width, height, aspect = height, width, 1 / aspect
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width=width,
        height=height,
        orientation=orientation,
        sample_aspect_ratio=aspect,
        frame_rate=rate,
        time_base=time_base,
        start_time=(frame.pts or 0) * time_base,
        duration=duration,
        frames=counted or (round(duration * rate) if duration else None),
        pixel_format=frame.format.name,
        bit_depth=max(8, *(c.bits for c in frame.format.components)),
        color=read_tags(frame, stream.codec_context.codec.canonical_name),
        interlaced=_interlaced(stream, frame),
        stored_duration=stored,
        counted=bool(counted),
        hdr=HdrMetadata.of(frame),
        audio=tuple(_stream_info(s) for s in container.streams.audio),
        subtitles=tuple(_stream_info(s) for s in container.streams.subtitles),
        chapters=len(container.chapters()),
        metadata=dict(container.metadata),
    )


def _count(container: InputContainer, stream: VideoStream) -> int:
    """The frames that the container counts, else 0.

    AVI's header counts empty places too, its index does not; MP4's header counts what an edit list hides.
    """
    if container.format.name == "avi":
        return sum(entry.size > 0 for entry in stream.index_entries)
    if container.format.name == _MOV and stream.frames:
        return sum(not entry.is_discard for entry in stream.index_entries) or stream.frames
    return stream.frames


def _stored_duration(container: InputContainer, stream: VideoStream, time_base: Fraction) -> Fraction | None:
    if stream.duration and container.format.name in _WITH_DURATIONS:  # elsewhere it is FFmpeg's estimate
        return stream.duration * time_base
    tag = next((v for k, v in stream.metadata.items() if k.upper().startswith("DURATION")), "")
    parts = tag.split(":")  # Matroska: 00:01:02.345000000
    if len(parts) == 3 and all(p.replace(".", "", 1).isdigit() for p in parts):
        return int(parts[0]) * 3600 + int(parts[1]) * 60 + Fraction(parts[2])
    return None


def _duration(container: InputContainer, stream: VideoStream, time_base: Fraction) -> Fraction | None:
    if stream.duration:
        return stream.duration * time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def average_rate(stream: VideoStream) -> Fraction:
    """Frames a second; what FFmpeg tells is not believed where it is only the unit of x264's times, as in Matroska."""
    most = min(_HIGHEST_RATE, 1 / (stream.time_base or Fraction(1, 1000)))
    rates = (stream.average_rate, stream.guessed_rate, _FALLBACK_RATE)
    return next((rate for rate in rates if rate and 0 < rate <= most), _FALLBACK_RATE)


def field_order(stream: VideoStream) -> int:
    """FFmpeg's AVFieldOrder of a stream; 0, unknown, with a PyAV before 18.1."""
    return int(getattr(stream.codec_context, "field_order", 0))


def _interlaced(stream: VideoStream, frame: av.VideoFrame) -> bool | None:
    order = field_order(stream)
    if frame.interlaced_frame or order in _INTERLACED_FIELD_ORDERS:
        return True
    return False if order == 1 else None


def _stream_info(stream: Stream) -> StreamInfo:
    context = stream.codec_context
    return StreamInfo(
        index=stream.index,
        codec="unknown" if context is None else context.codec.canonical_name,
        language=stream.language,
        title=stream.metadata.get("title"),
        channels=context.channels if isinstance(context, AudioCodecContext) else 0,
        sample_rate=context.sample_rate if isinstance(context, AudioCodecContext) else 0,
    )
