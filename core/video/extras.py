"""What travels in a file without a time of its own, or in no stream: attachments, cover pictures, chapters."""

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Stream

from .source import open_source
from .tracks import AnyPacket, describe, keep_labels
from .window import Window

if TYPE_CHECKING:
    from av.container.core import Chapter

_IMAGE_TYPES = {"png": ("png", "png"), "mjpeg": ("jpg", "jpeg"), "bmp": ("bmp", "bmp"), "webp": ("webp", "webp")}
_COVERS_OF_MP4 = {"png", "mjpeg", "bmp"}


def add_attachment(output: OutputContainer, stream: AttachmentStream) -> bool:
    """Add a font or another attached file to ``output``; returns whether its container holds such."""
    if output.format.name != "matroska":
        return False
    output.add_stream_from_template(stream)
    return True


class CoverTrack:
    """A cover picture: one packet, which an mp4 stores among its tags."""

    def __init__(self, output: OutputContainer, source: Stream, picture: bytes) -> None:
        self.name, self.faults = describe(source), Counter[str]()
        self._stream = output.add_stream_from_template(source, opaque=True)
        self._picture = picture
        keep_labels(source, self._stream)

    def packets(self) -> list[AnyPacket]:
        """The picture, to be written before anything else."""
        packet: AnyPacket = av.Packet(self._picture)
        packet.stream, packet.time_base = self._stream, Fraction(1, 1000)
        packet.pts = packet.dts = 0
        packet.is_keyframe = True
        return [packet]


def add_cover(output: OutputContainer, stream: Stream, path: Path) -> list[AnyPacket] | None:
    """Add a cover picture to ``output``: as an attachment of mkv, as a tag of mp4.

    Returns:
        The packets to write first; None if the container holds no covers of this kind.
    """
    codec, container = stream.codec_context.codec.canonical_name, output.format.name
    picture = _read_picture(path, stream.index)
    if not picture:
        return None
    if container == "matroska" and codec in _IMAGE_TYPES:
        suffix, kind = _IMAGE_TYPES[codec]
        output.add_attachment(stream.metadata.get("filename", f"cover.{suffix}"), f"image/{kind}", picture)
        return []
    if container == "mp4" and codec in _COVERS_OF_MP4:
        return CoverTrack(output, stream, picture).packets()
    return None


def _read_picture(path: Path, index: int) -> bytes:
    with open_source(path) as container:
        return next((bytes(p) for p in container.demux(container.streams[index]) if p.size), b"")


def is_chapter_track(stream: Stream, source: InputContainer) -> bool:
    """Whether a data stream of an mp4 or mov repeats the chapters: QuickTime's way, which the muxer does itself."""
    chapters = source.chapters()
    if stream.type != "data" or not chapters or stream.time_base is None:
        return False
    begins = {chapter["start"] * (chapter["time_base"] or Fraction(1, 1000)) for chapter in chapters}
    return {entry.timestamp * stream.time_base for entry in stream.index_entries} == begins


def trimmed_chapters(source: InputContainer, window: Window) -> "list[Chapter]":
    """The chapters that overlap ``window``, cut to it and moved to the output's timeline."""
    kept: list[Chapter] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        begin, end = chapter["start"] * base, chapter["end"] * base
        if not window.overlaps(begin, end - begin):
            continue
        begin = max(begin, window.begin or begin) - window.origin
        end = min(end, window.end or end) - window.origin
        kept.append({**chapter, "start": round(begin / base), "end": round(end / base)})
    return kept
