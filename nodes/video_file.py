"""A VIDEO that is a file, or a part of one: what our nodes pass along instead of all frames."""

import io as iolib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import Input, InputImpl, Types

from ..core.config import EncodeConfig
from ..core.job import Source
from ..core.transcode import save_video
from ..core.video.audio import read_audio
from ..core.video.probe import VideoInfo, probe
from ..core.video.reader import VideoReader
from .host import temporary_path


class VideoFile(Input.Video):
    """A VIDEO over a file; nothing is decoded until someone asks for frames.

    Args:
        source: the file and the part of it.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._info: VideoInfo | None = None

    @property
    def info(self) -> VideoInfo:
        """What the file holds, read once."""
        if self._info is None:
            self._info = probe(self.source.path)
        return self._info

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        return self.info.width, self.info.height

    def get_frame_rate(self) -> Fraction:
        """Average frames a second."""
        return self.info.frame_rate

    def get_duration(self) -> float:
        """Seconds of the chosen part."""
        whole = float(self.info.duration or 0)
        left = max(whole - self.source.start, 0.0)
        return left if self.source.duration is None else min(left, self.source.duration)

    def get_frame_count(self) -> int:
        """Frames of the chosen part; an estimate where the file does not say."""
        if self.source.start == 0 and self.source.duration is None and self.info.frames:
            return self.info.frames
        return max(round(self.get_duration() * self.info.frame_rate), 1)

    def get_container_format(self) -> str:
        """FFmpeg's name of the container."""
        return self.info.container

    def get_active_trim_window(self) -> tuple[float, float]:
        """Start and duration in seconds, as newer hosts ask; a duration of 0 is to the end."""
        return self.source.start, self.source.duration or 0.0

    def get_stream_source(self) -> str | iolib.BytesIO:
        """The path. A host that knows no trim windows gets a file that is already trimmed."""
        whole = self.source.start == 0 and self.source.duration is None
        if not whole and not hasattr(Input.Video, "get_active_trim_window"):
            trimmed = temporary_path(".mp4")
            save_video(self.source, trimmed)
            return str(trimmed)
        return str(self.source.path)

    def as_trimmed(
        self, start_time: float = 0.0, duration: float = 0.0, strict_duration: bool = False
    ) -> "VideoFile | None":
        """A part of this part; None if ``strict_duration`` is asked for and the video is too short."""
        left = self.get_duration() - start_time
        if strict_duration and duration > left:
            return None
        end = self.source.duration
        length = duration or (None if end is None else end - start_time)
        return VideoFile(Source(self.source.path, self.source.start + start_time, length))

    def get_components(self) -> Types.VideoComponents:
        """All frames in memory, as the host's nodes for short clips want them."""
        with VideoReader(self.source.path, self.source.start, self.source.duration) as reader:
            images = torch.stack([frame.image.permute(1, 2, 0) for frame in reader])  # (C,H,W) -> (T,H,W,C)
        audio = read_audio(self.source.path, self.source.start, self.source.duration)
        waveform = None if audio is None else {"waveform": audio.waveform[None], "sample_rate": audio.sample_rate}
        return Types.VideoComponents(images=images, audio=waveform, frame_rate=self.get_frame_rate())

    def save_to(
        self,
        path: str | iolib.BytesIO,
        format: str = "auto",
        codec: str = "auto",
        metadata: dict[str, Any] | None = None,
        crf: int | None = None,
        bit_depth: int | None = None,
        **_: Any,
    ) -> None:
        """Write the video; packets are copied unless the codec, the quality or a trim forbids it.

        Newer hosts pass further wishes (preset, colour space), which a copy does not need.
        """
        encode = None
        if codec != "auto" or crf is not None or bit_depth is not None:
            name = self.info.codec if codec == "auto" else str(getattr(codec, "value", codec))
            encode = EncodeConfig(codec=name, crf=crf or EncodeConfig.crf, bit_depth=bit_depth or 0)
        tags = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (metadata or {}).items()}
        if isinstance(path, str | Path):
            save_video(self.source, Path(path), encode, tags)
            return
        suffix = ".mp4" if format == "auto" else f".{getattr(format, 'value', format)}"
        spooled = temporary_path(suffix)
        save_video(self.source, spooled, encode, tags)
        path.write(spooled.read_bytes())
        spooled.unlink()


def as_source(video: Input.Video) -> Source:
    """The file behind any VIDEO; one that lives in memory is written to a temporary file first.

    Frames given as tensors are stored without loss.
    """
    if isinstance(video, VideoFile):
        return video.source
    if isinstance(video, InputImpl.VideoFromComponents):
        return Source(_store(video))
    stream = video.get_stream_source()
    window = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))()
    if not isinstance(stream, str | Path):
        path = temporary_path(".mkv")
        path.write_bytes(stream.getbuffer())
        stream = path
    return Source(Path(stream), window[0], window[1] or None)


def _store(video: InputImpl.VideoFromComponents) -> Path:
    from ..core.video.mux import mux
    from .frames import write_frames

    components = video.get_components()
    sound, picture, path = temporary_path(".mp4"), temporary_path(".mkv"), temporary_path(".mkv")
    video.save_to(str(sound))
    write_frames(components.images, Fraction(components.frame_rate), picture)
    mux(picture, sound, path)
    sound.unlink()
    picture.unlink()
    return path
