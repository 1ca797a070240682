"""Reading the frames of a video, one at a time, exactly once, upright, in RGB."""

import inspect
import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from torch import Tensor

from ..config import Deinterlace
from ..errors import EmptyVideoError, SettingError
from .color import to_rgb
from .probe import VideoInfo, probe
from .source import demux_safely, find_video_stream, open_source, to_ticks

logger = logging.getLogger(__name__)

_THREADS = 2
_SEEK_BACK_SECONDS = (0, 2, 10, 60)


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        image: (3,H,W) float32 RGB in [0,1], upright.
        pts: presentation time in ticks of the video's time base, on the video's own timeline.
        duration: ticks it is shown; 0 if unknown.
    """

    image: Tensor
    pts: int
    duration: int


@dataclass
class ReadReport:
    """What a pass found."""

    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class VideoReader:
    """The frames of a video in presentation order, as often as it is iterated.

    Frames of [start, start + duration) are yielded; both are measured from the presentation time of the first frame,
    at the precision of the time base. Peak memory: a few frames, whatever the length. ``damaged`` counts what could
    not be decoded, or only in part, in the latest pass. Frames whose size differs from the first one's are resized.

    Args:
        path: the file.
        start: seconds from the first frame.
        duration: seconds, or None for all that follows.

    Raises:
        VideoNotFoundError, NotAVideoError, EmptyVideoError: from ``probe``; EmptyVideoError also while iterating,
            when no frame lies in the range.
        SettingError: ``start`` is negative, or ``duration`` is not positive.
    """

    def __init__(
        self,
        path: Path,
        start: float | Fraction = 0.0,
        duration: float | Fraction | None = None,
        *,
        deinterlace: Deinterlace = "auto",
        strict: bool = False,
    ) -> None:
        if start < 0 or (duration is not None and duration <= 0):
            raise SettingError(
                f"Expected start >= 0 and duration > 0, got start={start}, duration={duration}; correct the trim."
            )
        self.path = Path(path)
        self.info: VideoInfo = probe(self.path)
        self.report = ReadReport()
        self.damaged = 0
        origin, time_base = self.info.start_ticks, self.info.time_base
        self._first = origin + to_ticks(start, time_base)
        self._end = None if duration is None else origin + to_ticks(Fraction(start) + Fraction(duration), time_base)
        self._passes: list[Generator[Frame, None, None]] = []

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every pass that is under way and close its file."""
        while self._passes:
            self._passes.pop().close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The frames, the first ``skip`` of them left out without being converted."""
        frames = self._read(skip)
        self._passes = [p for p in self._passes if inspect.getgeneratorstate(p) != inspect.GEN_CLOSED] + [frames]
        return frames

    def _read(self, skip: int) -> Generator[Frame, None, None]:
        self.damaged, delivered = 0, 0
        for frame, pts in self._from_start():
            if self._end is not None and pts >= self._end:
                break
            if pts >= self._first:
                delivered += 1
                if delivered <= skip:
                    continue
                yield self._convert(frame, pts)
        if self.damaged:
            logger.warning("%s: %d damaged spots; %d frames were kept.", self.path, self.damaged, delivered)
        if not delivered:
            raise EmptyVideoError(
                f"Expected frames in the chosen part of {self.path}, got none; "
                f"choose a longer part, or one that begins before {float(self.info.duration or 0):.3f} s."
            )

    def _convert(self, frame: av.VideoFrame, pts: int) -> Frame:
        info = self.info
        width, height = (info.height, info.width) if info.orientation.transpose else (info.width, info.height)
        if (frame.width, frame.height) != (width, height):
            frame = frame.reformat(width=width, height=height, interpolation="BICUBIC")
        return Frame(info.orientation.apply(to_rgb(frame, info.color)), pts, frame.duration or 0)

    def _from_start(self) -> Iterator[tuple[av.VideoFrame, int]]:
        """Yield decoded frames with their times, from a key frame at or before the range."""
        for back in _SEEK_BACK_SECONDS:
            target = self._first - to_ticks(back, self.info.time_base)
            if target <= self.info.start_ticks:
                break
            with open_source(self.path) as container:
                frames = self._decode(container, seek_to=target)
                first = next(frames, None)
                if first is not None and first.pts is not None and first.pts <= self._first:
                    self.damaged = 0
                    yield from self._timed(first, frames)
                    return
        self.damaged = 0
        with open_source(self.path) as container:
            frames = self._decode(container)
            first = next(frames, None)
            if first is not None:
                yield from self._timed(first, frames)

    def _timed(self, first: av.VideoFrame, others: Iterator[av.VideoFrame]) -> Iterator[tuple[av.VideoFrame, int]]:
        """Give every frame a time later than the one before: its own where that holds, else one step on."""
        step = max(1, round(1 / (self.info.frame_rate * self.info.time_base)))
        pts = self.info.start_ticks if first.pts is None else first.pts
        yield first, pts
        last_step = first.duration or step
        for frame in others:
            pts = frame.pts if frame.pts is not None and frame.pts > pts else pts + last_step
            last_step = frame.duration or step
            yield frame, pts

    def _decode(self, container: InputContainer, seek_to: int | None = None) -> Iterator[av.VideoFrame]:
        stream = find_video_stream(container, self.path)
        stream.thread_type, stream.thread_count = "SLICE", _THREADS  # frame threads lose good frames near damage
        if seek_to is not None:
            try:
                container.seek(seek_to, stream=stream)
            except av.error.FFmpegError:
                return
        for packet in demux_safely(container, [stream]):
            for frame in self._decode_packet(stream, packet):
                self.damaged += frame.is_corrupt
                yield frame

    def _decode_packet(self, stream: VideoStream, packet: "av.Packet[VideoStream] | None") -> list[av.VideoFrame]:
        if packet is None:
            self.damaged += 1
            return []
        try:
            return stream.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.damaged += 1
            return []
