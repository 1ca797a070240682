"""From a video to a restored video: frames stream through windows and a restorer into a file.

Peak memory is that of one window, whatever the length of the video.
"""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from .color_fix import fix_color
from .config import EncodeConfig, ResultConfig
from .errors import SettingError
from .restorer import PromptedFrame, Restorer
from .text.encode import join_prompt
from .text.vtt import parse_text
from .tiles import Check
from .video.mux import MuxReport, mux
from .video.probe import VideoInfo
from .video.reader import Frame, VideoReader
from .video.writer import VideoSpec, VideoWriter, check_encoding
from .windows import slide

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A video, or a part of it.

    Attributes:
        path: the file.
        start: seconds from the video's beginning.
        duration: seconds; None is to the end.
    """

    path: Path
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True)
class Job:
    """What to do with a video.

    Attributes:
        caption: what is to be seen; plain, or WebVTT for a text per shot.
        degradation: what is wrong with it; plain or WebVTT.
        result: size and colours of the result.
        encode: codec and quality of the result.
    """

    caption: str = ""
    degradation: str = ""
    result: ResultConfig = field(default_factory=ResultConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        done: frames finished.
        total: frames in all, an estimate of the file's; None if unknown.
        seconds: since the start.
        newest: the newest finished frame, (3,H,W) in [0,1].
    """

    done: int
    total: int | None
    seconds: float
    newest: Tensor

    @property
    def fps(self) -> float:
        """Frames a second since the start."""
        return self.done / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time left."""
        return None if self.total is None else max(self.total - self.done, 0) / max(self.fps, 1e-9)

    def __str__(self) -> str:
        of = "?" if self.total is None else str(max(self.total, self.done))
        left = "" if self.seconds_left is None else f", {_clock(self.seconds_left)} left"
        return f"{self.done}/{of} frames, {self.fps:.2f} fps{left}"


@dataclass(frozen=True)
class Restored:
    """The outcome of a job: the file, its frames, their size, the time taken, and what became of the other streams."""

    path: Path
    frames: int
    width: int
    height: int
    seconds: float
    streams: MuxReport


Report = Callable[[Progress], None]


def restore_video(
    source: Source, restorer: Restorer, output: Path, job: Job, report: Report, check: Check = lambda: None
) -> Restored:
    """Restore a video into ``output``: every frame, its exact time stamps, and all other streams of the source.

    The final name appears only when the file is whole; on an error nothing is left of it. Peak memory: one window.

    Args:
        source: what to read.
        restorer: the restoration system.
        output: the file to write; its suffix is the container.
        job: texts, size, colours, encoding.
        report: called after every frame.
        check: called between pieces of work; raises to cancel.

    Raises:
        VideoError: the source cannot be read.
        OutputError: the result cannot be written as asked.
        SettingError: settings out of range.
    """
    check_encoding(output, job.encode)
    began = time.monotonic()
    with VideoReader(source.path, source.start, source.duration) as reader:
        info = reader.info
        width, height = output_size(info.width, info.height, job.result)
        total = _estimate_frames(info.frames, info.frame_rate, info.duration, source)
        spec = spec_like(info, width, height)
        partial = partial_beside(output)
        times: deque[Frame] = deque()

        def stamped() -> Iterator[tuple[Tensor, float]]:
            for frame in reader:
                times.append(replace(frame, image=frame.image[:, :0]))
                yield frame.image, float(frame.pts * info.time_base - info.start_time)

        done = 0
        try:
            with VideoWriter(partial, spec, job.encode) as writer:
                for image in restore_frames(stamped(), restorer, job, check):
                    stamp = times.popleft()
                    writer.write(image, stamp.pts, stamp.duration)
                    done += 1
                    report(Progress(done, total, time.monotonic() - began, image))
            streams = mux(partial, source.path, output, start=source.start, duration=source.duration)
        finally:
            partial.unlink(missing_ok=True)
    return Restored(output, done, width, height, time.monotonic() - began, streams)


def restore_frames(
    frames: Iterable[tuple[Tensor, float]], restorer: Restorer, job: Job, check: Check = lambda: None
) -> Iterator[Tensor]:
    """Restore a stream of frames of one shot.

    Args:
        frames: (3,H,W) RGB in [0,1] and the frame's time in seconds.
        restorer: the restoration system.
        job: texts, size and colours.
        check: raises to cancel.

    Yields:
        (3,H',W') in [0,1], as many as came in. Peak memory: one window and its look-ahead.
    """
    caption, degradation = parse_text(job.caption), parse_text(job.degradation)
    prompted = (
        PromptedFrame(image, join_prompt(caption.at(seconds), degradation.at(seconds))) for image, seconds in frames
    )
    first = next(prompted, None)
    if first is None:
        return
    height, width = first.image.shape[-2:]
    out_width, out_height = output_size(width, height, job.result)
    shot = restorer.open_shot(height, width)
    for window in slide(_chain(first, prompted), restorer.plan(height, width)):
        # The shot comes first, so that it is run to its end and has moved on before the next window.
        for image, item in zip(shot.restore(window, check), window.items, strict=False):
            fixed = fix_color(image, item.image, job.result.color_fix)
            yield _resize(fixed, (out_height, out_width)).clamp(0, 1)


def partial_beside(output: Path) -> Path:
    """A hidden name beside ``output`` for the picture alone; no two runs share one."""
    return output.with_name(f".{output.stem}.{secrets.token_hex(4)}{output.suffix}")


def spec_like(info: VideoInfo, width: int, height: int) -> VideoSpec:
    """A stream of another size with the times, colours, depth and pixel shape of ``info``."""
    return VideoSpec(
        width=width,
        height=height,
        time_base=info.time_base,
        frame_rate=info.frame_rate,
        sample_aspect_ratio=info.sample_aspect_ratio,
        color=info.color,
        bit_depth=info.bit_depth,
    )


def output_size(width: int, height: int, result: ResultConfig) -> tuple[int, int]:
    """Width and height of the result for a source of this size.

    Raises:
        SettingError: the height asked for is not between 1 and four times the source's.
    """
    if not result.height:
        return width * result.scale, height * result.scale
    largest = 4 * height
    if not 1 <= result.height <= largest:
        raise SettingError(
            f"Expected a height from 1 to {largest} (four times the source's), got {result.height}; choose 0 for x4."
        )
    # Even, as most codecs want it.
    return max(round(width * result.height / height / 2) * 2, 2), result.height


def _chain(first: PromptedFrame, rest: Iterable[PromptedFrame]) -> Iterator[PromptedFrame]:
    yield first
    yield from rest


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == size:
        return image
    if image.shape[-2] % size[0] == 0 and image.shape[-1] % size[1] == 0:
        return F.interpolate(image[None], size=size, mode="area")[0]
    return F.interpolate(image[None], size=size, mode="bicubic", antialias=True)[0]


def _estimate_frames(frames: int | None, rate: Fraction, duration: Fraction | None, source: Source) -> int | None:
    if source.start == 0 and source.duration is None:
        return frames
    if duration is None:
        return None
    left = max(float(duration) - source.start, 0.0)
    seconds = left if source.duration is None else min(left, source.duration)
    return max(round(seconds * float(rate)), 1)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
