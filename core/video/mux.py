"""Putting a restored picture back among the sound, subtitles, chapters and tags of its source."""

import heapq
import logging
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.container import Container, InputContainer, OutputContainer
from av.format import Flags
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from ..errors import EncoderError
from .probe import VideoInfo, probe
from .segments import joined
from .source import find_video_stream, open_source, to_ticks
from .tracks import (
    AnyPacket,
    AudioTrack,
    CopyTrack,
    TextTrack,
    Track,
    Window,
    describe,
    fits,
    flush_all,
    keep_labels,
    packet_span,
    shift_packet,
)
from .writer import CONTAINERS, mp4_options

if TYPE_CHECKING:
    from av.container.core import Chapter

logger = logging.getLogger(__name__)

_SEEK_MARGIN = 10
_TECHNICAL_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "software"}
_MP4_TAGS = {
    "title", "artist", "album_artist", "album", "composer", "comment", "genre", "copyright", "date", "description",
    "synopsis", "show", "episode_id", "network", "lyrics", "grouping", "track", "disc", "creation_time", "location",
    "location-eng", "keywords", "author", "performer", "make", "model",
}  # fmt: skip


@dataclass
class MuxReport:
    """What became of the streams beside the picture; each entry is a sentence for the user.

    Attributes:
        copied: streams whose packets are unchanged.
        converted: streams that the container cannot hold as they were.
        dropped: streams that are missing from the result, with the reason.
    """

    copied: list[str] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def time_window(info: VideoInfo, start: float, duration: float | None) -> Window:
    """Return the part of the source's timeline that a trim keeps, on ticks of the video's time base.

    With ``start`` > 0 that instant becomes 0 (the first frame may come a fraction of a frame later). Otherwise the
    source's timeline stays as it is, except where its clock may begin anywhere (MPEG-TS and -PS): there the earliest
    stream begins at 0.
    """
    begin = info.start_ticks + to_ticks(start, info.time_base)
    end = None
    if duration is not None:
        end = info.start_ticks + to_ticks(Fraction(start) + Fraction(duration), info.time_base)
    return Window(
        origin=begin * info.time_base if start > 0 else Fraction(0),
        begin=begin * info.time_base if start > 0 else None,
        end=None if end is None else end * info.time_base,
    )


def mux(
    video: Path | Sequence[Path],
    source: Path,
    output: Path,
    *,
    start: float = 0.0,
    duration: float | None = None,
    metadata: Mapping[str, str] | None = None,
    work: Path | None = None,
) -> MuxReport:
    """Join the picture of ``video`` with everything else of ``source``, packet by packet, in constant memory.

    Packets are copied, never decoded, unless the container cannot hold their codec: audio then becomes AAC (Opus in
    WebM) and text subtitles the container's own kind; what cannot be converted is dropped and reported. The result
    appears under its name only when it is complete.

    Args:
        video: an encoded picture whose timestamps are on the timeline of ``source``.
        source: the file it was made from.
        output: the result; mp4, mov, mkv or webm by its suffix. An existing file is replaced.
        start: seconds from the first frame of ``source``; see ``time_window`` for what it does to the timeline.
            Sound that overlaps the start is kept whole: mp4 and mov hide what comes before 0; mkv and webm cannot
            begin before 0, so there everything moves by that part of one packet.
        duration: seconds; None for all that follows.
        metadata: tags to add to those of ``source``.

    Raises:
        VideoError: ``video`` or ``source`` cannot be read.
        EncoderError: the container is unknown, cannot hold the video, or writing fails.
    """
    container = CONTAINERS.get(output.suffix.lower())
    if container is None:
        raise EncoderError(
            f"Expected an output named {', '.join(CONTAINERS)}, got {output}; choose one of these suffixes."
        )
    videos = [video] if isinstance(video, Path) else list(video)
    job = _Job(videos, source, container, _time_window_of(source, start, duration), dict(metadata or {}))
    report = _run_atomically(job, output, work)
    for line in report.converted + report.dropped:
        logger.warning("%s: %s", output, line)
    return report


def _run_atomically(job: "_Job", output: Path, work: Path | None) -> MuxReport:
    """Run ``job`` into a hidden file beside ``output`` and give it that name once it is complete."""
    partial = (work or output.parent) / f".{output.stem}.{secrets.token_hex(4)}.part"
    try:
        report = job.run(partial)
        os.replace(partial, output)  # noqa: PTH105  (atomic also where the output exists)
    except (av.error.FFmpegError, ValueError) as error:
        raise EncoderError(
            f"Expected to write {output}, got {error}; check the free space, or choose .mkv, which holds most codecs."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return report


def _time_window_of(source: Path, start: float, duration: float | None) -> Window:
    info = probe(source)
    window = time_window(info, start, duration)
    if start > 0:
        return window
    with open_source(source) as container:
        if not container.format.flags & cast(int, Flags.ts_discont.value) or container.start_time is None:
            return window
        ticks = Fraction(container.start_time, av.time_base) // info.time_base
        return Window(ticks * info.time_base, window.begin, window.end)


@dataclass
class _Job:
    """One run of ``mux``."""

    videos: Sequence[Path]
    source: Path
    container: str
    window: Window
    metadata: dict[str, str]
    report: MuxReport = field(default_factory=MuxReport)

    def run(self, partial: Path) -> MuxReport:
        with open_source(self.videos[0]) as video, open_source(self.source) as source:
            picture = find_video_stream(video, self.videos[0])
            tags = self._tags(source)
            options = self._options(picture, tags)
            with av.open(f"file:{partial}", "w", format=self.container, container_options=options) as output:
                output.metadata.update(tags)
                picture_track = self._add_picture(output, picture, find_video_stream(source, self.source))
                tracks = self._add_tracks(output, source)
                output.set_chapters(self._chapters(source))
                streams = (_pictures(self.videos, picture_track, self.window), self._others(source, tracks))
                for _, packet in heapq.merge(*streams, key=lambda item: item[0]):
                    output.mux(packet)
                output.mux(flush_all(tracks.values()))
        return self.report

    def _options(self, picture: VideoStream, tags: Mapping[str, str]) -> dict[str, str]:
        if self.container not in ("mp4", "mov"):
            return {}
        options = mp4_options(picture.time_base or Fraction(1, 90_000))
        if not tags.keys() <= _MP4_TAGS:
            options["movflags"] += "+use_metadata_tags"  # else the muxer silently leaves out names it does not know
        return options

    def _tags(self, source: Container) -> dict[str, str]:
        kept = {k: v for k, v in source.metadata.items() if k.lower() not in _TECHNICAL_TAGS}
        return {**kept, **self.metadata}

    def _add_picture(self, output: OutputContainer, picture: VideoStream, original: Stream) -> Stream:
        stream = output.add_stream_from_template(picture, opaque=True)
        if picture.codec_context.name == "hevc" and self.container in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"
        keep_labels(original, stream)
        return stream

    def _add_tracks(self, output: OutputContainer, source: InputContainer) -> dict[int, Track]:
        main = find_video_stream(source, self.source).index
        tracks: dict[int, Track] = {}
        for stream in source.streams:
            track = None if stream.index == main else self._add_track(output, stream)
            if track is not None:
                tracks[stream.index] = track
        return tracks

    def _add_track(self, output: OutputContainer, stream: Stream) -> Track | None:
        name, window = describe(stream), self.window
        if stream.type == "attachment" or stream.disposition & Disposition.attached_pic:
            self._add_attachment(output, stream)
            return None
        if stream.type not in ("audio", "subtitle"):
            self.report.dropped.append(f"{name}: only one picture, sound and subtitles are kept.")
            return None
        if stream.codec_context is not None and fits(self.container, lambda out: CopyTrack(out, stream, window)):
            self.report.copied.append(name)
            return CopyTrack(output, stream, window)
        for kind in (AudioTrack, TextTrack):
            if kind.accepts(stream) and fits(self.container, lambda out, kind=kind: kind(out, stream, window)):  # type: ignore[misc]
                converted = kind(output, stream, window)
                self.report.converted.append(f"{name}: converted to {converted.encoder}; write .mkv to keep it.")
                return converted
        self.report.dropped.append(f"{name}: {self.container} cannot hold it; write .mkv to keep it.")
        return None

    def _add_attachment(self, output: OutputContainer, stream: Stream) -> None:
        name = describe(stream)
        if self.container != "matroska":
            self.report.dropped.append(f"{name}: {self.container} holds no attachments; write .mkv to keep it.")
            return
        if isinstance(stream, AttachmentStream):
            output.add_stream_from_template(stream)
        else:
            kind = "png" if stream.codec_context.name == "png" else "jpeg"
            file_name = stream.metadata.get("filename", f"cover.{kind.replace('e', '')}")
            output.add_attachment(file_name, f"image/{kind}", _cover(self.source, stream.index))
        self.report.copied.append(name)

    def _chapters(self, source: InputContainer) -> "list[Chapter]":
        kept: list[Chapter] = []
        for chapter in source.chapters():
            base = chapter["time_base"] or Fraction(1, 1000)
            begin, end = chapter["start"] * base, chapter["end"] * base
            if not self.window.overlaps(begin, end - begin):
                continue
            begin = max(begin, self.window.begin or begin) - self.window.origin
            end = min(end, self.window.end or end) - self.window.origin
            kept.append({**chapter, "start": round(begin / base), "end": round(end / base)})
        return kept

    def _others(self, source: InputContainer, tracks: dict[int, Track]) -> Iterator[tuple[Fraction, AnyPacket]]:
        """Yield the packets of all other streams with their times in the output, until each is past the window."""
        waiting = set(tracks)
        if not tracks:
            return
        if self.window.begin is not None:
            source.seek(int((self.window.begin - _SEEK_MARGIN) * av.time_base))
        for packet in source.demux([source.streams[i] for i in tracks]):
            times = packet_span(packet)
            if times is not None and self.window.is_over(times[0]):
                waiting.discard(packet.stream_index)
                if not waiting:
                    return
                continue
            for ready in tracks[packet.stream_index].feed(packet) if times is not None else ():
                yield _time(ready), ready


def _pictures(videos: Sequence[Path], track: Stream, window: Window) -> Iterator[tuple[Fraction, AnyPacket]]:
    for packet in joined(videos):
        shift_packet(packet, window.origin)
        packet.stream = track
        yield _time(packet), packet


def _time(packet: AnyPacket) -> Fraction:
    ticks = packet.pts if packet.dts is None else packet.dts
    return (ticks or 0) * packet.time_base


def _cover(path: Path, index: int) -> bytes:
    with open_source(path) as container:
        return next((bytes(p) for p in container.demux(container.streams[index]) if p.size), b"")
