"""Decoding: frames as they come out, and what did not come out."""

import os
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ..config import DECODER_THREADS, LARGEST_AREA
from .clock import Picture
from .report import MISSING, PARTIAL, SUSPECT, UNDECODABLE, UNREADABLE, Loss
from .source import demux_safely, find_video_stream, open_source

_Packet: TypeAlias = "av.Packet[VideoStream]"

_MOST_PENDING = 1024
_SHOWN = 64  # frames that came out last; no codec reorders more than 16
_HELD_BACK, _REACH = 3, 16  # frames: how late one may come, and how far apart times may be to be sorted
_FIELD = Fraction(3, 4)  # of a frame: more than a field, less than two


@dataclass(frozen=True)
class Damage:
    """Something that did not come out.

    Attributes:
        loss: what.
        pts: when, in ticks; None if unknown.
    """

    loss: Loss
    pts: int | None = None


class _Account:
    """Which packets have not become frames yet.

    Decoders drop frames without a word. A packet is lost once a frame comes out that is shown later and whose own
    packet came in later, since frames come out in the order in which they are shown.
    """

    def __init__(self) -> None:
        self._pending: dict[int, int] = {}
        self._sent = 0
        self._matching = True
        self._shown: deque[tuple[int, int]] = deque(maxlen=_SHOWN)

    def send(self, packet: _Packet) -> list[int]:
        """Expect a frame of ``packet``; returns what is given up for it, so that memory is bounded."""
        self._sent += 1
        if not self._matching or packet.pts is None or packet.is_discard:
            return []
        self._pending[packet.pts] = self._sent
        if len(self._pending) <= _MOST_PENDING:
            return []
        return self._settle([next(iter(self._pending))])

    def receive(self, frame: av.VideoFrame, field: int) -> list[int]:
        """Tell which packets are lost, now that ``frame`` came out; ``field`` is the length of a field in ticks."""
        if not self._matching or frame.pts is None:
            return []
        number = self._pending.pop(frame.pts, None)
        if number is None:
            self._matching = frame.is_corrupt  # else this decoder makes times of its own
            if not self._matching:
                self._pending.clear()
            return []
        lost = self._settle([pts for pts, sent in self._pending.items() if pts < frame.pts and sent < number])
        self._shown.append((frame.pts, frame.pts + max(frame.duration or 0, field if frame.interlaced_frame else 0)))
        return lost

    def rest(self) -> list[int]:
        """Tell which packets never became frames; called at the end."""
        return self._settle(list(self._pending))

    def _settle(self, times: list[int]) -> list[int]:
        """Stop waiting for packets. Those within the time of a frame are second fields, or are never shown."""
        for pts in times:
            del self._pending[pts]
        return sorted(pts for pts in times if not any(begin <= pts < end for begin, end in self._shown))


class _Sorter:
    """Puts frames that a decoder held back too long, because the frame after them was damaged, where they belong.

    Frames with times far from each other are left in the order in which they come.
    """

    def __init__(self, depth: int, reach: int) -> None:
        self._depth, self._reach = depth, reach
        self._held: list[av.VideoFrame] = []

    def push(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        """Take a frame and return those that are ready."""
        if any(frame.pts is None or abs(frame.pts - (other.pts or 0)) > self._reach for other in self._held):
            return [*self.flush(), *self.push(frame)]
        self._held.append(frame)
        if frame.pts is None or len(self._held) > self._depth:
            self._held.sort(key=lambda held: held.pts or 0)
            return [self._held.pop(0)]
        return []

    def flush(self) -> list[av.VideoFrame]:
        """Return all that are left."""
        held, self._held = sorted(self._held, key=lambda held: held.pts or 0), []
        return held


@dataclass
class Decoder:
    """One pass over the packets of a file.

    Args:
        path: the file.
        seek_to: ticks; the pass begins at a key frame before them. None begins with the first packet.
        fast: decode frames side by side. That loses good frames near damaged ones, in some decoders without a word.
        sort_after: frames that are yielded as they come, before those that are held back too long are sorted in; None
            never sorts.

    Attributes:
        packets: how many packets with a picture it has met; those that an edit list hides are left out.
    """

    path: Path
    seek_to: int | None = None
    fast: bool = True
    sort_after: int | None = None
    packets: int = 0
    _account: _Account = field(default_factory=_Account)
    _came: int = 0
    _corrupt: deque[int] = field(default_factory=lambda: deque(maxlen=_SHOWN))

    def run(self) -> Generator[Picture | Damage, None, None]:
        """Yield the frames in the order in which they are shown, and what was lost before each."""
        with open_source(self.path) as container:
            stream = prepare(container, self.path, fast=self.fast)
            if self.seek_to is not None:
                try:
                    container.seek(self.seek_to, stream=stream)
                except av.error.FFmpegError:
                    return
            rate, base = stream.average_rate, stream.time_base
            step = int(1 / (rate * base)) if rate and base else 0
            sorter = _Sorter(_HELD_BACK, _REACH * step)
            for packet in demux_safely(container, [stream]):
                if packet is None:
                    yield Damage(UNREADABLE)
                    continue
                yield from self._send(packet)
                for frame in self._decode(stream, packet):
                    if frame is None:
                        yield Damage(UNDECODABLE)
                        continue
                    for ready in sorter.push(frame) if self._sorting() else [frame]:
                        yield from self._receive(ready, step)
            for ready in sorter.flush():
                yield from self._receive(ready, step)
            yield from (Damage(MISSING, pts) for pts in self._account.rest())

    def _sorting(self) -> bool:
        self._came += 1
        return self.sort_after is not None and self._came > self.sort_after

    def _receive(self, frame: av.VideoFrame, step: int) -> Iterator[Picture | Damage]:
        yield from (Damage(MISSING, pts) for pts in self._account.receive(frame, int(_FIELD * step)))
        yield self._picture(frame)

    def _send(self, packet: _Packet) -> Iterator[Damage]:
        if packet.size and not packet.is_discard:
            self.packets += 1
            if packet.is_corrupt and packet.pts is not None:
                self._corrupt.append(packet.pts)
            yield from (Damage(MISSING, pts) for pts in self._account.send(packet))

    def _decode(self, stream: VideoStream, packet: _Packet) -> Iterator[av.VideoFrame | None]:
        """The frames that come out; None for one without a time that is known to be lost."""
        try:
            yield from stream.decode(packet)
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            if packet.size and packet.pts is None:
                yield None

    def _picture(self, frame: av.VideoFrame) -> Picture:
        damage = PARTIAL if frame.is_corrupt else SUSPECT if frame.pts in self._corrupt else None
        return Picture(frame, frame.pts, frame.duration or 0, damage)


def prepare(container: InputContainer, path: Path, *, fast: bool) -> VideoStream:
    """Return the main video stream, ready to decode in bounded memory."""
    stream = find_video_stream(container, path)
    stream.thread_type = "AUTO" if fast else "SLICE"
    stream.thread_count = min(DECODER_THREADS, os.cpu_count() or 1) if fast else 1
    stream.codec_context.options = {"max_pixels": str(2 * LARGEST_AREA)}  # of a size that appears midway
    return stream


def decode(path: Path, seek_to: int | None = None) -> Iterator[tuple[Picture | Damage, int]]:
    """Decode side by side until the first damage shows, then again one by one, without what was already yielded.

    Both ways give the same samples for as long as nothing is damaged. Each item comes with the packets met so far.
    """
    done = 0
    decoder = Decoder(path, seek_to)
    for item in decoder.run():
        if isinstance(item, Damage) or item.damage:
            break
        done += 1
        yield item, decoder.packets
    else:
        return
    decoder = Decoder(path, seek_to, fast=False, sort_after=done)
    for item in decoder.run():
        if isinstance(item, Picture) and done:
            done -= 1
            continue
        yield item, decoder.packets
