"""Opening video files with errors a user can act on, and time arithmetic shared by reading and muxing."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ..errors import NotAVideoError, VideoNotFoundError

_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_DEMUX_ERROR_LIMIT = 64


def silence_ffmpeg() -> None:
    """Take FFmpeg's log out of Python's hands before a coder with threads is used.

    Other packages (torchvision, for one) hook FFmpeg's log into ``logging``. A coder thread that logs then waits for
    the interpreter lock, while the thread that closes the coder holds it and waits for the coder thread: a deadlock.
    """
    av.logging.set_level(None)


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """Open a local media file for reading; nothing but local files is ever touched.

    Raises:
        VideoNotFoundError: there is no such file.
        NotAVideoError: FFmpeg cannot open it.
    """
    if path.is_dir():
        raise NotAVideoError(f"Expected a video file, got the folder {path}; name a file in it.")
    if not path.exists():
        raise VideoNotFoundError(f"Expected a video file, got {path}, which does not exist; check the path.")
    if path.stat().st_size == 0:
        raise NotAVideoError(f"Expected a video file, got {path}, which is empty (0 bytes); copy or download it again.")
    silence_ffmpeg()
    options = {"protocol_whitelist": "file,crypto,data"}
    try:
        container = av.open(f"file:{path}", metadata_errors="replace", container_options=options)
    except av.error.FFmpegError as error:
        raise NotAVideoError(
            f"Expected a video file, got {path}, which FFmpeg cannot open ({error.strerror}); check that it plays."
        ) from error
    with container:
        yield container


def find_video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the main moving picture of a file: the default video stream, else the first; never cover art.

    Raises:
        NotAVideoError: there is none, or no decoder for it.
    """
    moving = [s for s in container.streams.video if not s.disposition & _NOT_MOVING]
    if not moving:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        what = "only audio" if container.streams.audio else f"only: {kinds}"
        raise NotAVideoError(f"Expected a video stream in {path}, got {what}; choose a file with moving pictures.")
    stream = next((s for s in moving if s.disposition & Disposition.default), moving[0])
    if stream.codec_context is None:
        raise NotAVideoError(
            f"Expected a video that FFmpeg can decode, got an unknown codec in {path}; convert it to H.264 first."
        )
    return stream


def demux_safely(container: InputContainer, streams: list[VideoStream]) -> Iterator["av.Packet[VideoStream] | None"]:
    """Yield the packets of ``streams``, and ``None`` for each damaged spot that was skipped.

    Many spots without a packet between them are the end: some files make the demuxer fail at one place for ever.
    """
    errors = 0
    while errors < _DEMUX_ERROR_LIMIT:
        try:
            for packet in container.demux(streams):
                errors = 0
                yield cast("av.Packet[VideoStream]", packet)
            return
        except av.error.FFmpegError:
            errors += 1
            yield None


def to_ticks(seconds: float | Fraction, time_base: Fraction) -> int:
    """Return the first tick of ``time_base`` at or after ``seconds``, less a thousandth of a tick for float error."""
    return math.ceil(Fraction(seconds) / time_base - Fraction(1, 1000))
