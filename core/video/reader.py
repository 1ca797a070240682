"""Reading the frames of a video, one at a time, exactly once, upright, in RGB."""

import inspect
import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import av
from torch import Tensor

from ..config import Deinterlace
from ..errors import EmptyVideoError, SettingError
from .clock import Clock, Picture
from .color import to_rgb
from .decode import Damage, Decoder, decode
from .deinterlace import Deinterlacer, plan_deinterlacing
from .extent import missing_at_end, more_than_told
from .planes import pixel_layout
from .pool import TensorPool
from .probe import VideoInfo, probe
from .report import GAP, MISSING, NO_TIME, RESIZED, Ledger, Loss, Place, ReadReport
from .scan import Scan, scan
from .source import to_ticks

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

_SEEK_BACK_SECONDS = (0, 2, 10, 60)
_CONSTANT_RATE = ("mpegts", "mpeg")
_WITHOUT_TIMES = ("h264", "hevc", "obu", "m4v", "mpegvideo", "h263", "vc1", "avi")
_GAP = 7  # quarters of a frame from one to the next that are no gap


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


class VideoReader:
    """The frames of a video in presentation order, as often as it is iterated.

    Frames of [start, start + duration) are yielded; both are measured from the presentation time of the first frame,
    at the precision of the time base. Peak memory: a few frames, whatever the length. ``report`` tells what the latest
    pass found. Frames whose size differs from the first one's are resized.

    Args:
        path: the file.
        start: seconds from the first frame.
        duration: seconds, or None for all that follows.
        deinterlace: ``auto`` deinterlaces what ``scan`` finds to be interlaced, ``on`` everything, ``off`` nothing.
        strict: the first thing that is missing, damaged, made up or resized is an error.

    Raises:
        VideoNotFoundError, NotAVideoError, EmptyVideoError, VideoSizeError: from ``probe``; EmptyVideoError also while
            iterating, when no frame lies in the range.
        DamagedVideoError: while iterating, if ``strict``.
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
        self._deinterlace, self._strict = deinterlace, strict
        origin, time_base = self.info.start_ticks, self.info.time_base
        self._first = origin + to_ticks(start, time_base)
        self._end = None if duration is None else origin + to_ticks(Fraction(start) + Fraction(duration), time_base)
        self._passes: list[Generator[object, None, None]] = []

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

    @cached_property
    def scan(self) -> Scan:
        """Whether the video is progressive, interlaced or telecined; found by looking at some frames, once."""
        return scan(self.info)

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """Begin a pass; of the frames it would yield, the first ``skip`` are left out without being converted.

        Everything else is done to them all the same, so that frame k is the same whether others were skipped or not.
        """
        return self._begin(self._read(skip))

    def times(self) -> Iterator[int]:
        """Begin a pass that converts nothing: the presentation times, in ticks, of the frames it would yield."""
        return self._begin(self._read_times())

    def _begin(self, a_pass: Generator[Item, None, None]) -> Iterator[Item]:
        going_on = [p for p in self._passes if inspect.getgeneratorstate(p) != inspect.GEN_CLOSED]
        self._passes = [*going_on, a_pass]
        return a_pass

    def _pass(self) -> "_Pass":
        self.report = ReadReport()
        ledger = Ledger(self.path, self.report, strict=self._strict)
        return _Pass(self.info, (self._first, self._end), ledger)

    def _read(self, skip: int) -> Generator[Frame, None, None]:
        one_pass = self._pass()
        for number, picture in enumerate(self._chosen(one_pass), 1):
            assert picture.pts is not None
            if number > skip:
                yield Frame(one_pass.convert(picture.frame), picture.pts, picture.duration)

    def _read_times(self) -> Generator[int, None, None]:
        for picture in self._chosen(self._pass()):
            assert picture.pts is not None
            yield picture.pts

    def _chosen(self, one_pass: "_Pass") -> Iterator[Picture]:
        """The pictures of the chosen part, kept account of."""
        for picture in self._whole(one_pass):
            assert picture.pts is not None
            if self._end is not None and picture.pts >= self._end:
                break
            if picture.pts >= self._first:
                self.report.frames += 1
                one_pass.inspect(picture)
                yield picture
        else:
            one_pass.finish()
        for sentence in self.report.lost:
            logger.warning("%s: %s", self.path, sentence)
        if not self.report.frames:
            raise EmptyVideoError(
                f"Expected frames in the chosen part of {self.path}, got none; "
                f"choose a longer part, or one that begins before {float(self.info.duration or 0):.3f} s."
            )

    def _whole(self, one_pass: "_Pass") -> Iterator[Picture]:
        """Decoded pictures with their times, deinterlaced where that is due."""
        pictures = one_pass.timed(self._seek_to)
        if self._deinterlace == "off" and not self.info.interlaced:
            return pictures
        plan = plan_deinterlacing(self._deinterlace, self.scan)
        if plan.note:
            one_pass.ledger.note(plan.note)
        if not plan.options:
            return pictures
        full_range = self.info.color.full_range
        return Deinterlacer(plan.options, full_range=full_range, ledger=one_pass.ledger).run(pictures)

    @cached_property
    def _seek_to(self) -> int | None:
        """Where to seek, so that what comes out begins at or before the range; None is the beginning of the file."""
        for back in _SEEK_BACK_SECONDS:
            target = self._first - to_ticks(back, self.info.time_base)
            if target <= self.info.start_ticks:
                break
            items = Decoder(self.path, target).run()
            first = next((item for item in items if isinstance(item, Picture)), None)
            items.close()
            if first is not None and first.pts is not None and first.pts <= self._first:
                return target
        return None


class _Pass:
    """One pass over a video: what comes out of the decoder is timed, converted and kept account of."""

    def __init__(self, info: VideoInfo, span: tuple[int, int | None], ledger: Ledger) -> None:
        self.info, self.ledger = info, ledger
        self._first, self._end = span
        turned = info.orientation.transpose
        self._size = (info.height, info.width) if turned else (info.width, info.height)
        self._step = max(1, round(1 / (info.frame_rate * info.time_base)))
        self._met = 0
        self._gap_from: int | None = None
        self._until = info.start_ticks
        self._packets: int | None = None
        self._pool = TensorPool()

    def timed(self, seek_to: int | None) -> Iterator[Picture]:
        """Decode from a key frame at or before ``seek_to``, and give every picture its time."""
        for picture in Clock(self.info.start_ticks, self._step).run(self._decode(seek_to)):
            assert picture.pts is not None
            if picture.lost is NO_TIME and self.info.container in _WITHOUT_TIMES:
                self.ledger.note(
                    "The file stores no times, only the order of its frames; the rate is taken as constant."
                )
            elif picture.lost is not None:
                self._lose(picture.lost, picture.pts)
            self._until = picture.pts + (picture.duration or self._step)
            yield picture

    def _decode(self, seek_to: int | None) -> Iterator[Picture]:
        for item, packets in decode(self.info.path, seek_to):
            self._packets = packets if seek_to is None else None
            if isinstance(item, Damage):
                self._lose(item.loss, item.pts)
                continue
            if item.damage is not None:
                self._lose(item.damage, item.pts)
            self._look_for_gap(item)
            self._met += item.pts is None or item.pts >= self._first
            yield item

    def _look_for_gap(self, picture: Picture) -> None:
        """In streams whose rate is constant, damage may swallow frames so that nothing but a gap is left."""
        gap, self._gap_from = self._gap_from, None
        if picture.pts is None or self.info.container not in _CONSTANT_RATE:
            return
        if gap is not None and picture.pts > gap:
            self._lose(GAP, gap)
        self._gap_from = picture.pts + _GAP * max(picture.duration, self._step) // 4

    def _lose(self, loss: Loss, pts: int | None) -> None:
        """Count a loss, unless it lies outside the chosen part."""
        trimmed = self._first > self.info.start_ticks
        if pts is not None and ((trimmed and pts < self._first) or (self._end is not None and pts >= self._end)):
            return
        place = self._place(pts)
        if loss is MISSING:
            self._met, self._gap_from = self._met + 1, None
        self.ledger.lose(loss, place)

    def _place(self, pts: int | None) -> Place:
        seconds = None if pts is None else float(pts * self.info.time_base - self.info.start_time)
        return Place(self._met, seconds)

    def inspect(self, picture: Picture) -> None:
        """Look for changes of size and format that a reader should know of."""
        frame = picture.frame
        if (frame.width, frame.height) != self._size:
            self._lose(RESIZED, picture.pts)
        if frame.format.name not in (self.info.pixel_format, pixel_layout(self.info.pixel_format).format):
            self.ledger.note(
                f"The pixel format changes from {self.info.pixel_format} to {frame.format.name}; each is read as it is."
            )

    def convert(self, frame: av.VideoFrame) -> Tensor:
        """Return (3,H,W) RGB, upright, of the size of the first frame."""
        if (frame.width, frame.height) != self._size:
            frame = frame.reformat(width=self._size[0], height=self._size[1], interpolation="BICUBIC")
        return self.info.orientation.apply(to_rgb(frame, self.info.color, self._pool))

    def finish(self) -> None:
        """At the end of the file, compare what came with what its header says."""
        for sentence in missing_at_end(self.info, self._packets, self._until):
            self.ledger.lose_once(sentence, self._place(self._until))
        for sentence in more_than_told(self.info, self._packets, self._until):
            self.ledger.note(sentence)
