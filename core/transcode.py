"""Saving a video, or a part of one, under another name: by copying packets where that is exact, else by encoding."""

from collections.abc import Mapping
from pathlib import Path

from .config import EncodeConfig
from .durable import partial_beside
from .job import Source
from .pipeline import spec_like
from .video.encoders import check_encoding
from .video.mux import MuxReport, mux
from .video.probe import probe
from .video.reader import VideoReader
from .video.writer import VideoWriter


def save_video(
    source: Source, output: Path, encode: EncodeConfig | None = None, metadata: Mapping[str, str] | None = None
) -> MuxReport:
    """Write ``source`` to ``output``; the suffix is the container.

    Args:
        source: a whole video is copied packet by packet, if its codec is the one asked for and the container holds
            it; a trimmed one is encoded again, since a cut lies anywhere.
        output: the file to write; it appears only when whole.
        encode: the codec; None keeps the source's, or takes the default where it has to be encoded.
        metadata: tags to add to the source's own.

    Raises:
        VideoError: the source cannot be read.
        OutputError: the result cannot be written as asked.
    """
    whole = source.start == 0 and source.duration is None
    codec = probe(source.path).codec
    if whole and (encode is None or encode.codec == codec) and _holds(output, codec):
        return mux(source.path, source.path, output, metadata=metadata)
    encode = encode or EncodeConfig()
    check_encoding(output, encode)
    partial = partial_beside(output)
    try:
        _encode(source, partial, encode)
        return mux([partial], source.path, output, start=source.start, duration=source.duration, metadata=metadata)
    finally:
        partial.unlink(missing_ok=True)


def _encode(source: Source, output: Path, encode: EncodeConfig) -> None:
    with VideoReader(source.path, source.start, source.duration) as reader:
        spec = spec_like(reader.info, reader.info.width, reader.info.height)
        with VideoWriter(output, spec, encode) as writer:
            for frame in reader:
                writer.write(frame.image, frame.pts, frame.duration)


def _holds(output: Path, codec: str) -> bool:
    """Whether players expect this codec in this container; Matroska holds everything."""
    containers = {
        "h264": (".mp4", ".mov"),
        "hevc": (".mp4", ".mov"),
        "av1": (".mp4", ".webm"),
        "vp9": (".mp4", ".webm"),
        "prores": (".mov",),
        "mpeg4": (".mp4", ".avi"),
    }
    return output.suffix == ".mkv" or output.suffix in containers.get(codec, ())
