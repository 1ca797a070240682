"""Progressive, interlaced or telecined: what a video is, by its picture, and by its flags where the picture is silent.

Flags lie both ways: broadcasters flag whole channels as interlaced, and captures of tape are often not flagged at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .decode import prepare
from .filters import FilterChain
from .probe import VideoInfo, field_order
from .source import demux_safely, open_source

_FRAMES = (24, 18, 18)
"""Frames looked at: at the start, and at one and two thirds."""

_ENOUGH = 5  # frames that move, to believe the picture
_CYCLE = 5  # frames of video to four of film
_CYCLES = 3
_MOSTLY_COMBED, _MOSTLY_WHOLE, _SAME_ORDER = 0.8, 0.9, 0.9
_TOP_SHOWN_FIRST, _BOTTOM_SHOWN_FIRST = (2, 5), (3, 4)  # AVFieldOrder


@dataclass(frozen=True)
class Scan:
    """How the lines of a video were taken.

    Attributes:
        kind: whole pictures; two fields of different times in each; fields of film repeated 3:2; or whole film
            pictures whose times say 3:2.
        top_first: whether the field of the upper lines is the earlier one; None if unknown or there are no fields.
        seen: whether the picture shows it; else only the file says so.
        doubtful: the picture is combed in places, the file calls it progressive.
        said: whether the file says interlaced.
        frames_said: whether it says so of frames, not only in its header.
    """

    kind: Literal["progressive", "interlaced", "telecined", "pulldown"] = "progressive"
    top_first: bool | None = None
    seen: bool = False
    doubtful: bool = False
    said: bool = False
    frames_said: bool = False

    @property
    def combed(self) -> bool:
        """Whether there is something to deinterlace."""
        return self.kind in ("interlaced", "telecined")

    @property
    def sentence(self) -> str:
        """What to tell the user; empty for a plain progressive video."""
        order = {True: ", top field first", False: ", bottom field first", None: ""}[self.top_first]
        if self.kind == "interlaced":
            source = "its moving parts are combed" if self.seen else "the file says so, the picture does not show it"
            return f"The video is interlaced{order}: {source}."
        if self.kind == "telecined":
            return (
                f"The video is film that was telecined (3:2 pulldown{order}): of five frames, two mix two pictures of "
                "the film. Undoing that with an inverse telecine filter before is better than deinterlacing."
            )
        if self.kind == "pulldown":
            return (
                "The video is film that is shown for two and three fields in turn (3:2 pulldown by flags): its whole "
                "pictures are read, with these times, and nothing is deinterlaced."
            )
        if self.doubtful:
            return "Some scenes look interlaced, though the file says progressive; if they are, ask for deinterlacing."
        if self.said:
            return "The file says interlaced, but its pictures are whole."
        return ""


@dataclass
class Said:
    """What the file says.

    Attributes:
        frames: whether it flags frames as interlaced.
        top_first: the order of fields in its header; None if it is unknown or there are no fields.
    """

    frames: bool = False
    top_first: bool | None = None

    @property
    def interlaced(self) -> bool:
        """Whether it says interlaced at all."""
        return self.frames or self.top_first is not None


@dataclass(frozen=True)
class Look:
    """What a run of frames shows, a letter a frame.

    Attributes:
        fields: ``p`` whole, ``t`` combed with the top field first, ``b`` with the bottom field first, ``u`` unknown.
        repeated: field that is the one of the frame before: ``t``, ``b`` or ``n`` (neither).
        times: presentation times in ticks.
    """

    fields: str = ""
    repeated: str = ""
    times: tuple[int, ...] = ()


def scan(info: VideoInfo) -> Scan:
    """Look at some frames of a video: about six of one that is plainly progressive, never more than 60.

    Raises:
        VideoNotFoundError, NotAVideoError: the file has gone or changed.
    """
    with open_source(info.path) as container:
        stream = prepare(container, info.path, fast=True)
        said = Said()
        looks: list[Look] = []
        for place, most in enumerate(_FRAMES):
            if place and not _seek(container, stream, info, place):
                break
            looks.append(_look(_listen(stream, _frames(container, stream), said), most, said))
            if _plainly_progressive(looks[0].fields, said):
                break
    return judge(looks, said)


def judge(looks: Sequence[Look], said: Said) -> Scan:
    """Decide by what was seen, at several places, else by what the file says."""
    fields = "".join(look.fields for look in looks)
    whole, top, bottom = (fields.count(letter) for letter in "ptb")
    combed, moving = top + bottom, whole + top + bottom
    agreed = max(top, bottom) >= _SAME_ORDER * combed
    if any(_has_pulldown(look) for look in looks):
        return Scan("telecined", top > bottom, seen=True, said=said.interlaced, frames_said=said.frames)
    if combed >= max(_ENOUGH, _MOSTLY_COMBED * moving) and agreed:
        return Scan("interlaced", top > bottom, seen=True, said=said.interlaced, frames_said=said.frames)
    if whole >= max(_ENOUGH, _MOSTLY_WHOLE * moving):
        kind: Literal["progressive", "pulldown"] = "pulldown" if any(map(_alternates, looks)) else "progressive"
        return Scan(kind, seen=True, said=said.interlaced, frames_said=said.frames)
    if said.interlaced:
        return Scan("interlaced", said.top_first, said=True, frames_said=said.frames)
    return Scan(doubtful=combed >= _ENOUGH and agreed)


def _has_pulldown(look: Look) -> bool:
    """Whether fields are repeated, or whole pictures appear, in every fifth frame and in no other."""
    top, bottom = (_every_fifth(look.repeated, mark) for mark in "tb")
    if top is not None and bottom is not None and top != bottom:
        return True
    combed = look.fields.count("t") + look.fields.count("b")
    return _every_fifth(look.fields, "p") is not None and combed >= _CYCLES * (_CYCLE - 2)


def _every_fifth(letters: str, mark: str) -> int | None:
    """The place in the cycle of the frames with ``mark``, if they are one in every cycle; the first frame is free."""
    places = [i for i, letter in enumerate(letters) if letter == mark and i]
    if len(places) < _CYCLES or any(b - a != _CYCLE for a, b in pairwise(places)):
        return None
    return places[0] % _CYCLE


def _alternates(look: Look) -> bool:
    """Whether frames are shown for two and three units of time in turn."""
    steps = [b - a for a, b in pairwise(look.times)][: 4 * _CYCLES]
    ratios = [max(a, b) / max(min(a, b), 1) for a, b in pairwise(steps)]
    turns = all((a < b) != (b < c) for a, b, c in zip(steps, steps[1:], steps[2:], strict=False))
    return len(ratios) >= _ENOUGH - 1 and turns and all(1.4 < ratio < 1.6 for ratio in ratios)


def _plainly_progressive(fields: str, said: Said) -> bool:
    return not said.interlaced and fields.count("p") >= _ENOUGH and not set(fields) & {"t", "b"}


def _listen(stream: VideoStream, frames: Iterable[av.VideoFrame], said: Said) -> Iterator[av.VideoFrame]:
    """Pass frames on and write down what the file says about them."""
    for frame in frames:
        order = field_order(stream)
        said.frames |= frame.interlaced_frame
        said.top_first = True if order in _TOP_SHOWN_FIRST else False if order in _BOTTOM_SHOWN_FIRST else None
        yield frame


def _seek(container: InputContainer, stream: VideoStream, info: VideoInfo, place: int) -> bool:
    if info.duration is None:
        return False
    target = info.start_time + info.duration * place / len(_FRAMES)
    try:
        container.seek(int(target / info.time_base), stream=stream)
    except av.error.FFmpegError:
        return False
    return True


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    for packet in demux_safely(container, [stream]):
        try:
            yield from (frame for frame in stream.decode(packet) if not frame.is_corrupt) if packet else ()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            continue


def _look(frames: Iterable[av.VideoFrame], most: int, said: Said) -> Look:
    """Look at up to ``most`` frames, fewer if the answer is plain."""
    chain: FilterChain | None = None
    fields, repeated, times = "", "", []
    for count, frame in enumerate(frames, 1):
        gray = frame.reformat(format="gray")
        if chain is None:
            chain = FilterChain(gray, "idet")
        elif not chain.takes(gray):
            break
        times += [] if frame.pts is None else [frame.pts]
        for seen in chain.push(gray):
            fields, repeated = fields + _letter(seen, "single"), repeated + _letter(seen, "repeated")
        if count >= most or _plainly_progressive(fields, said):
            break
    for seen in chain.flush() if chain else ():
        fields, repeated = fields + _letter(seen, "single"), repeated + _letter(seen, "repeated")
    return Look(fields, repeated, tuple(times))


def _letter(frame: av.VideoFrame, kind: str) -> str:
    """What idet makes of a frame; undetermined with a PyAV before 18.1, which does not show it: then flags decide."""
    return str(getattr(frame, "metadata", {}).get(f"lavfi.idet.{kind}.current_frame", "u"))[0]
