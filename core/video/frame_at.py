"""Frame k of a video, whatever k: exactly the one that a reader would count up to."""

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import av
import torch
from torch import Tensor

from ..config import Deinterlace
from ..errors import DamagedVideoError, FrameNumberError
from .clock import Picture
from .color import to_rgb
from .decode import decode
from .deinterlace import Deinterlacer, plan_deinterlacing
from .frame_index import FrameIndex, index_by_decoding, index_frames
from .pool import TensorPool
from .probe import VideoInfo, probe
from .reader import VideoReader
from .report import Ledger, ReadReport
from .source import to_ticks

_BACK_SECONDS = (0, 2, 10, 60)
"""How far before a frame to look for a key frame that it can be decoded from."""

_AHEAD = 32
"""Frames that are rather decoded than leapt over."""

_SETTLING = 3
"""Frames that a deinterlacer sees before the first one that is as it would be in a pass from the beginning."""

_HELD_BYTES = 96 * 1024**2
"""Decoded frames that are kept, so that stepping back does not decode from the key frame every time."""

_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""AVColorSpace -> swscale's name for the same matrix."""

_Pass = Generator[tuple[int | None, av.VideoFrame], None, None]


@dataclass
class _Opened:
    """What is known of the file once it was looked at."""

    info: VideoInfo
    index: FrameIndex
    deinterlacer: str


class FrameFile:
    """A video whose frames are had by number, counted as a ``VideoReader`` counts them.

    The file is looked at when something is asked for, and open only while a pass is under way: the last one is kept,
    so that the frames that follow cost no seeking. Safe to use from several threads; one of them works at a time.
    Memory: 8 bytes for every frame of the file, the decoder's frames, and 96 MiB.

    Args:
        path: the file.
        deinterlace: as for ``VideoReader``.

    Raises:
        VideoError: when something is asked for: the file cannot be read.
    """

    def __init__(self, path: Path, deinterlace: Deinterlace = "auto") -> None:
        self.path = path
        self._deinterlace = deinterlace
        self._lock = RLock()
        self._opened: _Opened | None = None
        self._pass: _Pass | None = None
        self._at = -1
        self._held: OrderedDict[int, av.VideoFrame] = OrderedDict()
        self._pool = TensorPool()

    def look(self, check: Callable[[], None] = lambda: None) -> tuple[VideoInfo, FrameIndex]:
        """What the file holds and when its frames are shown; found out once.

        Args:
            check: called now and then while the file is read; raises to stop.
        """
        with self._lock:
            opened = self._look(check)
            return opened.info, opened.index

    def pixels(self, number: int) -> Tensor:
        """Return frame ``number``, from 0, as (H,W,3) uint8 RGB, upright.

        Raises:
            FrameNumberError: there is no such frame.
            DamagedVideoError: it cannot be decoded.
        """
        with self._lock, torch.inference_mode():
            frame = self._frame(number)
            image = self._counted(number) if frame is None else self._upright(frame, self._look().info)
            return image.mul(255).add_(0.5).to(torch.uint8).permute(1, 2, 0).contiguous()  # (C,H,W) -> (H,W,C)

    def preview(self, number: int, side: int) -> Tensor:
        """Return frame ``number`` as (H,W,3) uint8 RGB, upright: at most ``side`` pixels on the longer side.

        Ten times as quick as ``pixels`` and nearly the same: FFmpeg's own conversion, with the file's colours.

        Raises:
            FrameNumberError: there is no such frame.
            DamagedVideoError: it cannot be decoded.
        """
        with self._lock, torch.inference_mode():
            frame, info = self._frame(number), self._look().info
            if frame is None:
                return self.pixels(number)
            width, height = _stored_size(info)
            part = min(1.0, side / max(width, height))
            small = frame.reformat(
                width=max(round(width * part), 1),
                height=max(round(height * part), 1),
                format="rgb24",
                src_colorspace=_MATRICES.get(info.color.matrix),
                src_color_range=2 if info.color.full_range else 1,
                dst_color_range=2,
                interpolation="AREA",
            )
            image = torch.from_numpy(small.to_ndarray()).permute(2, 0, 1)  # (H,W,C) -> (C,H,W)
            return info.orientation.apply(image).permute(1, 2, 0).contiguous()  # (C,H,W) -> (H,W,C)

    def close(self) -> None:
        """Let go of the file and of all frames; what was found out about it stays."""
        with self._lock:
            self._end_pass()
            self._held.clear()
            self._pool = TensorPool()

    def _look(self, check: Callable[[], None] = lambda: None) -> _Opened:
        if self._opened is None:
            info = probe(self.path)
            plan = ""
            if self._deinterlace != "off" or info.interlaced:
                with VideoReader(self.path) as reader:
                    plan = plan_deinterlacing(self._deinterlace, reader.scan).options
            self._opened = _Opened(info, index_frames(info, check), plan)
        return self._opened

    def _frame(self, number: int) -> av.VideoFrame | None:
        self._expect(number)
        return self._held.get(number) or self._reach(number)

    def _expect(self, number: int) -> None:
        last = len(self._look().index) - 1
        if not 0 <= number <= last:
            raise FrameNumberError(f"Expected a frame from 0 to {last}, got {number}; ask for one of those.")

    def _reach(self, number: int) -> av.VideoFrame | None:
        """Decode up to a frame; None if it can only be found by counting."""
        opened = self._look()
        if self._pass is None or not self._at < number <= self._at + _AHEAD:
            self._end_pass()
        elif self._go_to(number):
            return self._held[number]
        for seek_to in self._places(number, opened):
            self._begin_pass(seek_to)
            if self._go_to(number):
                return self._held[number]
            if self._opened is not opened:  # the packets had lied
                self._expect(number)
                return self._reach(number)
        return None

    @staticmethod
    def _places(number: int, opened: _Opened) -> Iterator[int | None]:
        """Where to begin, the nearest first: ticks to seek to, and the beginning of the file."""
        settled = number - (_SETTLING if opened.deinterlacer else 0)
        for back in _BACK_SECONDS:
            if settled <= 0:
                break
            target = int(opened.index.times[settled]) - to_ticks(back, opened.info.time_base)
            if target <= opened.info.start_ticks:
                break
            yield target
        yield None

    def _go_to(self, number: int) -> bool:
        """Go on with the pass until a frame; False if it is not met."""
        opened = self._look()
        assert self._pass is not None
        for met, frame in self._pass:
            gap = self._at >= 0 and met != self._at + 1
            if (met is None or gap) and not opened.index.decoded:
                self._end_pass()
                self._held.clear()
                self._opened = _Opened(opened.info, index_by_decoding(opened.info), opened.deinterlacer)
                return False
            if met is None:
                continue
            self._at = met
            self._hold(met, frame)
            if met >= number:
                break
        if self._at == number:
            return True
        self._end_pass()
        return False

    def _hold(self, number: int, frame: av.VideoFrame) -> None:
        self._held[number] = frame
        self._held.move_to_end(number)
        size = sum(plane.buffer_size for plane in frame.planes)
        while len(self._held) > max(_HELD_BYTES // size, 1):
            self._held.popitem(last=False)

    def _begin_pass(self, seek_to: int | None) -> None:
        self._end_pass()
        self._pass = self._run(seek_to)

    def _end_pass(self) -> None:
        if self._pass is not None:
            self._pass.close()
        self._pass, self._at = None, -1

    def _run(self, seek_to: int | None) -> _Pass:
        """Frames from a key frame on, with their numbers; those that hang on what lies before it are left out."""
        opened = self._look()
        pictures = _pictures(self.path, seek_to)
        unsettled = 0
        if opened.deinterlacer:
            ledger = Ledger(self.path, ReadReport(), strict=False)
            full_range = opened.info.color.full_range
            pictures = Deinterlacer(opened.deinterlacer, full_range=full_range, ledger=ledger).run(pictures)
            unsettled = 0 if seek_to is None else _SETTLING
        for place, picture in enumerate(pictures):
            if place >= unsettled:
                yield opened.index.number(picture.pts), picture.frame

    def _upright(self, frame: av.VideoFrame, info: VideoInfo) -> Tensor:
        size = _stored_size(info)
        if (frame.width, frame.height) != size:
            frame = frame.reformat(width=size[0], height=size[1], interpolation="BICUBIC")
        return info.orientation.apply(to_rgb(frame, info.color, self._pool))

    def _counted(self, number: int) -> Tensor:
        """For what no time leads to: read from the beginning."""
        with VideoReader(self.path, deinterlace=self._deinterlace) as reader:
            found = next(reader.frames(skip=number), None)
        if found is None:
            raise DamagedVideoError(
                f"Expected frame {number} of {self.path.name}, which cannot be decoded; look at another one."
            )
        return found.image


def _stored_size(info: VideoInfo) -> tuple[int, int]:
    """Width and height before the picture is turned upright."""
    return (info.height, info.width) if info.orientation.transpose else (info.width, info.height)


def _pictures(path: Path, seek_to: int | None) -> Iterator[Picture]:
    trusted = seek_to is None
    for item, _ in decode(path, seek_to):
        if isinstance(item, Picture):
            trusted = trusted or item.frame.key_frame
            if trusted:
                yield item
