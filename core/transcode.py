"""Saving a video, or a part of one, under another name: by copying packets where that is exact, else by encoding."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

from .config import ColorSpace, EncodeConfig, VideoCodec
from .errors import SettingError
from .job import Source
from .unfinished import unfinished
from .video.color import BT709, BT2020, SMPTE170M
from .video.encoders import check_encoding, spec_like
from .video.matroska import matroska_codecs
from .video.mux import MuxReport, mux
from .video.probe import VideoInfo, probe
from .video.reader import VideoReader
from .video.writer import VideoWriter

log = logging.getLogger(__name__)

_MATRIX = {"bt601": SMPTE170M, "bt709": BT709, "bt2020": BT2020}
_CONTAINERS = {
    "h264": (".mp4", ".mov"),
    "hevc": (".mp4", ".mov"),
    "av1": (".mp4", ".webm"),
    "vp9": (".mp4", ".webm"),
    "prores": (".mov",),
    "mpeg4": (".mp4", ".avi"),
}
"""Where players expect a codec; Matroska holds everything."""


def save_video(
    source: Source,
    output: Path,
    encode: EncodeConfig | None = None,
    metadata: Mapping[str, str] | None = None,
    color_space: ColorSpace = "",
) -> MuxReport:
    """Write ``source`` to ``output``; the suffix is the container.

    Args:
        source: a whole video is copied packet by packet, if nothing that is asked for forbids it and the container
            holds its codec; a trimmed one is encoded again, since a cut lies anywhere.
        output: the file to write; it appears only when whole.
        encode: the codec and how to use it; None keeps the source's codec, or takes a default where the picture has to
            be encoded. All but the source's codec at the default settings asks for encoding.
        metadata: tags to add to the source's own.
        color_space: the matrix by which RGB is stored as YUV, for players that ignore what a file says. Another one
            than the source's means encoding; pictures look the same, since R'G'B' does not change: primaries and
            transfer stay the source's, and no gamut is mapped.

    Raises:
        VideoError: the source cannot be read.
        OutputError: the result cannot be written as asked.
        SettingError: an unknown colour space.
    """
    if color_space and color_space not in _MATRIX:
        raise SettingError(f"Expected a colour space out of {', '.join(_MATRIX)}, got {color_space!r}.")
    info = probe(source.path)
    whole = source.start == 0 and source.duration is None
    plain = encode is None or encode == EncodeConfig(codec=encode.codec)
    kept = plain and (encode is None or encode.codec == info.codec) and _matrix_is(info, color_space)
    if whole and kept and _holds(output, info.codec):
        return mux(source.path, source.path, output, metadata=metadata)
    encode = encode or EncodeConfig(codec="av1" if output.suffix.lower() == ".webm" else EncodeConfig.codec)
    check_encoding(output, encode)
    with unfinished(output) as picture:
        _encode(source, picture, encode, color_space)
        return mux(
            [picture],
            source.path,
            output,
            start=source.start,
            duration=source.duration,
            metadata=metadata,
            work=picture.parent,
        )


def codec_for(info: VideoInfo, output: Path) -> VideoCodec:
    """The codec to encode in where none is named: the source's if we write it and ``output`` holds it."""
    for codec in get_args(VideoCodec):
        if codec == info.codec and codec != "png" and _holds(output, codec):
            return codec
    return "av1" if output.suffix.lower() == ".webm" else EncodeConfig.codec


def _matrix_is(info: VideoInfo, color_space: ColorSpace) -> bool:
    if not color_space:
        return True
    same = (5, 6) if color_space == "bt601" else (_MATRIX[color_space],)  # one matrix, two codes
    return info.color.matrix in same and not info.color.guessed


def _encode(source: Source, output: Path, encode: EncodeConfig, color_space: ColorSpace) -> None:
    with VideoReader(
        source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
    ) as reader:
        spec = spec_like(reader.info, reader.info.width, reader.info.height)
        if color_space:
            spec = replace(spec, color=replace(spec.color.for_encoding(), matrix=_MATRIX[color_space]))
        with VideoWriter(output, spec, encode) as writer:
            for frame in reader:
                writer.write(frame.image, frame.pts, frame.duration)
        for note in writer.notes:
            log.warning("%s: %s", source.path, note)


def _holds(output: Path, codec: str) -> bool:
    suffix = output.suffix.lower()
    return suffix in _CONTAINERS.get(codec, ()) or (suffix == ".mkv" and codec in matroska_codecs())
