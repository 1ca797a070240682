"""Opening video files with errors a user can act on, and time arithmetic shared by reading and muxing.

A file may be anything: it opens no other file and no connection, and is opened in bounded memory and time.
"""

import math
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from ..config import LARGEST_AREA
from ..errors import NotAVideoError, VideoNotFoundError
from .claims import check_claims, check_marks
from .png_claims import unpacks_too_much

_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_DEMUX_ERROR_LIMIT = 64
_PATIENCE = 60.0  # seconds
_MOST_STREAMS = 200

_FORMATS = (
    # files and broadcasts
    "mov,matroska,webm,avi,mpegts,mpeg,flv,live_flv,kux,asf,asf_o,mxf,gxf,nut,ogg,rm,wtv,ivf,yuv4mpegpipe,dv,swf,nsv,"
    "nuv,pva,ty,dhav,ifv,iv8,lmlm4,"
    # pictures that move, and single ones
    "gif,gif_pipe,apng,webp_pipe,jpegxl_anim,png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,ppm_pipe,"
    # old programs and games
    "flic,smjpeg,mv,film_cpk,roq,bink,smk,thp,psxstr,ea,4xm,idcin,rpl,wc3movie,vmd,cine,cdxl,anm"
)
"""The demuxers that may read a file: those that read nothing but it, and nothing else as a picture.

FFmpeg knows lists of other files (HLS, concat, SDP), devices, and text as a picture of a terminal besides.
"""

_BARE_FORMATS = "h264,hevc,vvc,m4v,mpegvideo,vc1,h263,h261,cavsvideo,mjpeg,obu,av1"
"""Streams without a container, of which FFmpeg gathers in memory what lies between two marks."""


def silence_ffmpeg() -> None:
    """Take FFmpeg's log out of Python's hands before a coder with threads is used.

    Other packages (torchvision, for one) hook FFmpeg's log into ``logging``. A coder thread that logs then waits for
    the interpreter lock, while the thread that closes the coder holds it and waits for the coder thread: a deadlock.
    """
    av.logging.set_level(None)


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """Open a local media file for reading; nothing but this file is ever touched.

    Raises:
        VideoNotFoundError: there is no such file.
        NotAVideoError: FFmpeg cannot open it, or may not: it is a list of other files, or its tables claim what cannot
            be.
    """
    _check_file(path)
    silence_ffmpeg()
    try:
        container = _open(path, _FORMATS)
    except av.error.ArgumentError:
        container = _open_bare(path)
    except av.error.FFmpegError as error:
        raise _not_opened(path, error) from error
    with container:
        yield container


def _check_file(path: Path) -> None:
    """Refuse what is no file, or claims to be more than it is."""
    if path.is_dir():
        raise NotAVideoError(f"Expected a video file, got the folder {path}; name a file in it.")
    if not path.exists():
        raise VideoNotFoundError(f"Expected a video file, got {path}, which does not exist; check the path.")
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise NotAVideoError(
            f"Expected a video file, got {path}, which is a device or a pipe; save it as a file first."
        )
    if found.st_size == 0:
        raise NotAVideoError(f"Expected a video file, got {path}, which is empty (0 bytes); copy or download it again.")
    check_claims(path)


def _open_bare(path: Path) -> InputContainer:
    """Open a stream without a container, or say that it is of no kind that is taken."""
    try:
        check_marks(path)
        return _open(path, _BARE_FORMATS)
    except av.error.ArgumentError as error:
        raise NotAVideoError(
            f"Expected a video file, got {path}, which holds text, names other files, or is of a kind that is not "
            "read; convert it to .mp4 or .mkv first."
        ) from error
    except av.error.FFmpegError as error:
        raise _not_opened(path, error) from error


def _open(path: Path, formats: str) -> InputContainer:
    options = {"protocol_whitelist": "file,crypto,data", "format_whitelist": formats, "max_streams": str(_MOST_STREAMS)}
    return av.open(
        f"file:{path}",
        metadata_errors="replace",
        container_options=options,
        options={"max_pixels": str(2 * LARGEST_AREA)},
        timeout=(_PATIENCE, None),
    )


def _not_opened(path: Path, error: av.error.FFmpegError) -> NotAVideoError:
    why = error.strerror
    if isinstance(error, av.error.ExitError):
        why = f"{_PATIENCE:g} seconds are not enough"
    return NotAVideoError(f"Expected a video file, got {path}, which FFmpeg cannot open ({why}); check that it plays.")


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


def demux_safely(container: InputContainer, streams: Sequence[Stream]) -> Iterator["av.Packet[Any] | None"]:
    """Yield the packets of ``streams``, and ``None`` for each damaged spot that was skipped.

    Many spots without a packet between them are the end: some files make the demuxer fail at one place for ever. A PNG
    picture whose texts would fill the memory counts as damage.
    """
    contexts = {stream.index: stream.codec_context for stream in streams}
    pictures = {index for index, context in contexts.items() if context and context.name in ("png", "apng")}
    if any(unpacks_too_much(contexts[index].extradata or b"") for index in pictures):  # what all pictures share
        return
    errors = 0
    while errors < _DEMUX_ERROR_LIMIT:
        try:
            for packet in container.demux(*streams):
                errors = 0
                is_bomb = packet.stream.index in pictures and unpacks_too_much(bytes(packet))
                yield None if is_bomb else packet
            return
        except IndexError:  # a packet of a stream that was not there at the beginning
            continue
        except av.error.FFmpegError:
            errors += 1
            yield None


def to_ticks(seconds: float | Fraction, time_base: Fraction) -> int:
    """Return the first tick of ``time_base`` at or after ``seconds``, less a thousandth of a tick for float error."""
    return math.ceil(Fraction(seconds) / time_base - Fraction(1, 1000))
