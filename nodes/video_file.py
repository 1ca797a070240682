"""A VIDEO that is a file, or a part of one: what our nodes pass along instead of all frames."""

import io as iolib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import Input, InputImpl, Types

from ..core.config import EncodeConfig
from ..core.job import Source
from ..core.transcode import codec_for, save_video
from ..core.video.audio import read_audio
from ..core.video.probe import VideoInfo, probe
from ..core.video.reader import VideoReader
from .host.folders import temporary_path
from .host.passing import kept, passing_path

_CLOCK_ERROR = 1e-6


class VideoFile(Input.Video):
    """A VIDEO over a file; nothing is decoded until someone asks for frames.

    Args:
        source: the file and the part of it.
        frames: how many the part has; None if nobody counted.
    """

    def __init__(self, source: Source, frames: int | None = None) -> None:
        self.source = source
        self._frames = frames
        self._info: VideoInfo | None = None
        self._trimmed: Path | None = None

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
        """Frames of the chosen part; an estimate where neither its maker nor the file says."""
        if self._frames is not None:
            return self._frames
        return self.info.frames_in(self.source.start, self.source.duration) or 1

    def get_container_format(self) -> str:
        """FFmpeg's name of the container."""
        return self.info.container

    def get_active_trim_window(self) -> tuple[float, float]:
        """Start and duration in seconds, as newer hosts ask; a duration of 0 is to the end."""
        return self.source.start, self.source.duration or 0.0

    def get_stream_source(self) -> str | iolib.BytesIO:
        """The path. A host that knows no trim windows gets a file that is already trimmed, made once."""
        whole = self.source.start == 0 and self.source.duration is None
        if whole or hasattr(Input.Video, "get_active_trim_window"):
            return str(kept(self.source.path))
        if self._trimmed is None or not self._trimmed.exists():
            self._trimmed = temporary_path(".mp4")
            save_video(self.source, self._trimmed)
        return str(self._trimmed)

    def as_trimmed(
        self, start_time: float = 0.0, duration: float = 0.0, strict_duration: bool = False
    ) -> "VideoFile | None":
        """A part of this part, and never more than it.

        Args:
            start_time: seconds from the beginning of this part; from its end if negative.
            duration: seconds; 0 is all that follows.
            strict_duration: whether a shorter part is none at all.

        Returns:
            None if nothing is left, or too little.
        """
        whole = self.get_duration()
        start = max(whole + start_time, 0.0) if start_time < 0 else start_time
        left = whole - start
        if left <= 0 or (strict_duration and duration > left + _CLOCK_ERROR):
            return None
        end = self.source.duration
        length = duration or None
        if end is not None:
            length = min(duration or left, end - start)
        return VideoFile(replace(self.source, start=self.source.start + start, duration=length))

    def get_components(self) -> Types.VideoComponents:
        """All frames in memory, as the host's nodes for short clips want them."""
        source = self.source
        with VideoReader(
            source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
        ) as reader:
            images = torch.stack([frame.image.permute(1, 2, 0) for frame in reader])  # (C,H,W) -> (T,H,W,C)
        audio = read_audio(source.path, source.start, source.duration)
        waveform = None if audio is None else {"waveform": audio.waveform[None], "sample_rate": audio.sample_rate}
        return Types.VideoComponents(images=images, audio=waveform, frame_rate=self.get_frame_rate())

    def save_to(
        self,
        path: str | iolib.BytesIO,
        format: str = "auto",
        codec: str = "auto",
        metadata: dict[str, Any] | None = None,
        **wishes: Any,
    ) -> None:
        """Write the video; packets are copied unless a wish or a trim forbids it.

        Args:
            path: a file, whose suffix decides, or a buffer.
            format: the container of a buffer.
            codec: the video codec; auto keeps it.
            metadata: tags; what is no text becomes JSON.
            wishes: what newer hosts add: ``crf``, ``bit_depth``, ``preset``, ``color_space``; None and auto are none,
                and one that the file fulfils costs nothing. Others are ignored.
        """
        named = isinstance(path, str | Path)
        suffix = ".mp4" if _plain(format) is None else f".{_plain(format)}"
        output = Path(path) if named else temporary_path(suffix)
        encode = self._encoding(output, _plain(codec), {name: _plain(wish) for name, wish in wishes.items()})
        tags = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (metadata or {}).items()}
        try:
            save_video(self.source, output, encode, tags, _plain(wishes.get("color_space")) or "")
            if not named:
                path.write(output.read_bytes())
        finally:
            if not named:
                output.unlink(missing_ok=True)

    def _encoding(self, output: Path, codec: str | None, wishes: dict[str, Any]) -> EncodeConfig | None:
        crf, depth, preset = wishes.get("crf"), wishes.get("bit_depth"), wishes.get("preset")
        depth = None if depth is None or int(depth) == self.info.bit_depth else int(depth)
        if crf is depth is preset is None:
            return None if codec is None else EncodeConfig(codec=codec)
        return EncodeConfig(
            codec=codec or codec_for(self.info, output),
            crf=EncodeConfig.crf if crf is None else int(crf),
            bit_depth=depth or 0,
            preset=preset or "medium",  # said, so that even the default quality is a wish
        )


def _plain(wish: Any) -> Any:
    """The value of a wish, whether it comes as an enumeration, as text or not at all."""
    wish = getattr(wish, "value", wish)
    return None if wish in (None, "", "auto") else wish


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
        path = passing_path(".mkv")
        path.write_bytes(stream.getbuffer())
        stream = path
    return Source(stream if isinstance(stream, Path) else Path(stream), window[0], window[1] or None)


def _store(video: InputImpl.VideoFromComponents) -> Path:
    from ..core.video.mux import mux
    from .frames import exact_rate, write_frames

    components = video.get_components()
    sound, picture, path = temporary_path(".mp4"), temporary_path(".mkv"), passing_path(".mkv")
    video.save_to(str(sound))
    write_frames(components.images, exact_rate(float(components.frame_rate)), picture)
    mux(picture, sound, path)
    sound.unlink()
    picture.unlink()
    return path
