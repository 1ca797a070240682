"""The motion of any part of a video, found while it streams by."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

import torch
from torch import Tensor

from ..errors import SettingError, ShapeError
from ..job import Source
from ..tiles import Check
from ..video.cuts import CONTEXT, mark_cuts
from ..video.probe import probe
from ..video.reader import VideoReader
from .clip_motion import ClipMotion
from .config import MotionConfig
from .flow import GetFlow, Size, find_clip_motion, shrink


class MotionSource(Protocol):
    """Tells how any part of a video moves."""

    @property
    def length(self) -> int:
        """Frames of the video; of a file, what it says of itself, which may be off by a few."""

    @property
    def size(self) -> Size:
        """Height and width of its frames in pixels."""

    def between(self, start: int, stop: int, size: Size, step: int = 1) -> ClipMotion:
        """The motion of the latent frames ``start`` to ``stop`` - 1 among themselves.

        Latent frame k shows frame k * ``step`` of the video; frames that the last latent frame has beyond the video's
        end repeat its last one. Across a cut nothing is known: there the flow is 0, and everything is occluded.
        Going on from window to window, overlapping or not, reads the video once; going back begins again.

        Args:
            start: the first latent frame.
            stop: one after the last.
            size: height and width of the latents.
            step: frames of the video that a latent frame stands for.

        Returns:
            The motion of ``stop`` - ``start`` frames on the CPU, float32.

        Raises:
            SettingError: there are no such frames.
        """


class StreamedMotion(ABC):
    """A ``MotionSource`` over anything whose frames can be read forwards.

    Memory: the frames of the latest part that was asked for, no larger than ``config.side``, and what
    ``flow.find_clip_motion`` needs.

    Args:
        frames: begins to read: leaves out as many frames as it is told, then yields (3,H,W) RGB in [0,1].
        flow: gives the network.
        config: how motion is found.
        check: called often; raises to cancel.
    """

    def __init__(
        self,
        frames: Callable[[int], Iterator[Tensor]],
        flow: GetFlow,
        config: MotionConfig,
        check: Check,
    ) -> None:
        self._frames, self._flow, self._config, self._check = frames, flow, config, check
        self._step = 1
        self._forget()

    @property
    @abstractmethod
    def length(self) -> int:
        """See ``MotionSource``."""

    @property
    @abstractmethod
    def size(self) -> Size:
        """See ``MotionSource``."""

    def between(self, start: int, stop: int, size: Size, step: int = 1) -> ClipMotion:
        """See ``MotionSource``."""
        if not 0 <= start < stop or step < 1 or min(size) < 1:
            raise SettingError(
                f"Expected frames start < stop of a size, each a step of 1 or more, got {start} to {stop}, "
                f"{size[0]}x{size[1]}, a step of {step}."
            )
        with torch.inference_mode(False), torch.no_grad():
            self._go_on(start * step, (stop - 1) * step, step)
            shown = self._shown(range(start * step, stop * step, step))
            motion = find_clip_motion(
                [self._kept[index] for index in shown], size, self._flow(), self._config, self._check
            )
            return self._without_guesses(motion, shown)

    def reach(self, start: int, stop: int) -> int:
        """Read on to frame ``stop`` - 1, to ask for the frames from ``start`` on next; returns how many there are.

        The number is ``stop``, unless the video ends before.
        """
        with torch.inference_mode(False), torch.no_grad():
            self._go_on(start, stop - 1, 1)
        return min(stop, self._next) if self._ended else stop

    def close(self) -> None:
        """Close the file and forget its frames; the next part that is asked for opens it again."""
        if self._stream is not None:
            self._stream.close()
        self._forget()

    def _forget(self) -> None:
        self._stream: Generator[tuple[Tensor, bool], None, None] | None = None
        self._kept: dict[int, Tensor] = {}
        self._cuts: list[int] = []
        self._next = self._first = 0
        self._ended = False

    def _go_on(self, first: int, last: int, step: int) -> None:
        try:
            self._read(first, last, step)
        except BaseException:
            self.close()  # what stopped half way cannot go on
            raise

    def _read(self, first: int, last: int, step: int) -> None:
        """Go on until frame ``last`` is there; begin again if ``first`` or some in between are gone."""
        if self._stream is None or first < self._first or step != self._step:
            self.close()
            self._step, self._next = step, max(first - CONTEXT, 0)
            self._stream = self._marked(self._next)
        self._first = first
        newest = self._next - 1  # may turn out to be the last of all, which is repeated
        self._kept = {index: image for index, image in self._kept.items() if index >= first or index == newest}
        self._cuts = [cut for cut in self._cuts if cut > first]
        while self._next <= last and not self._ended:
            item = next(self._stream, None)
            if item is None:
                self._ended = True
            else:
                self._take(*item)

    def _take(self, image: Tensor, cut: bool) -> None:
        newest = self._next - 1
        if newest < self._first or newest % self._step:
            self._kept.pop(newest, None)
        self._kept[self._next] = image
        if cut:
            self._cuts.append(self._next)
        self._next += 1

    def _marked(self, skip: int) -> Generator[tuple[Tensor, bool], None, None]:
        frames = self._frames(skip)
        yield from mark_cuts((self._small(frame) for frame in frames), lambda x: x, self._config.cut_threshold)

    def _small(self, frame: Tensor) -> Tensor:
        self._check()
        return shrink(frame.float(), self._config.side).clone()

    def _shown(self, asked: range) -> list[int]:
        """The frames that stand for those that were asked for: the last one for all that follow it closely."""
        last = max(self._kept, default=-1)
        if self._ended and asked[-1] - last >= self._step:
            raise SettingError(
                f"Expected motion up to frame {asked[-1]}, counted from 0, got a video that ends before; "
                "connect the video that the latents were made from."
            )
        return [min(index, last) for index in asked]

    def _without_guesses(self, motion: ClipMotion, shown: list[int]) -> ClipMotion:
        """Where a pair of frames spans a cut, nothing follows from it."""
        for i, (before, after) in enumerate(itertools.pairwise(shown)):
            if any(before < index <= after for index in self._cuts):
                motion.forward_flow[i], motion.backward_flow[i] = 0, 0
                motion.forward_occluded[i], motion.backward_occluded[i] = 1, 1
        return motion


class VideoMotion(StreamedMotion):
    """The motion of a video file, or a part of one; read forwards, as far as it is asked for.

    Args:
        source: the file and the part of it.
        flow: gives the network.
        config: how motion is found.
        check: called often; raises to cancel.

    Raises:
        VideoError: the file cannot be used, see ``video.probe.probe``.
    """

    def __init__(self, source: Source, flow: GetFlow, config: MotionConfig, check: Check = lambda: None) -> None:
        self.source = source
        self._info = probe(source.path)
        super().__init__(self._open, flow, config, check)

    @property
    def length(self) -> int:
        """See ``MotionSource``."""
        return self._info.frames_in(self.source.start, self.source.duration) or 1

    @property
    def size(self) -> Size:
        """See ``MotionSource``."""
        return self._info.height, self._info.width

    def _open(self, skip: int) -> Iterator[Tensor]:
        part = self.source
        with VideoReader(
            part.path, part.start, part.duration, deinterlace=part.deinterlace, strict=part.strict
        ) as reader:
            for frame in reader.frames(skip):
                yield frame.image


class ImageMotion(StreamedMotion):
    """The motion of frames in memory.

    Args:
        images: (T,3,H,W) RGB in [0,1], at least one frame.
        flow: gives the network.
        config: how motion is found.
        check: called often; raises to cancel.

    Raises:
        ShapeError: there is no frame, or these are not RGB.
    """

    def __init__(self, images: Tensor, flow: GetFlow, config: MotionConfig, check: Check = lambda: None) -> None:
        if images.ndim != 4 or images.shape[0] < 1 or images.shape[1] != 3:
            raise ShapeError(f"Expected frames (T,3,H,W), one or more, got {tuple(images.shape)}.")
        self._images = images
        super().__init__(lambda skip: iter(images[skip:]), flow, config, check)

    @property
    def length(self) -> int:
        """See ``MotionSource``."""
        return self._images.shape[0]

    @property
    def size(self) -> Size:
        """See ``MotionSource``."""
        height, width = self._images.shape[-2:]
        return height, width
