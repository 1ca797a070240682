"""Putting a restored picture back among the sound, subtitles, chapters and tags of its source."""

import heapq
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, cast

import av
from av.container import Container, InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from ..durable import sync_file, sync_folder, write_failure, writing_explained
from ..errors import EncoderError
from ..unfinished import unfinished
from .converted import AudioTrack, TextTrack
from .encoders import CONTAINERS, mp4_options
from .extras import add_attachment, add_cover, is_chapter_track, trimmed_chapters
from .matroska import store_aspect
from .probe import average_rate
from .segments import joined
from .source import demux_safely, find_video_stream, open_source
from .tracks import (
    AnyPacket,
    CopyTrack,
    Track,
    describe,
    fits,
    flush_all,
    keep_labels,
    packet_span,
    shift_packet,
)
from .window import Window, window_of

logger = logging.getLogger(__name__)

_Timed: TypeAlias = "tuple[Fraction, AnyPacket]"

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
        damaged: what was wrong with the packets of the source, and what was done about it.
    """

    copied: list[str] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


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
    WebM) and text subtitles the container's own kind; what cannot be converted is dropped and reported. Times are
    exact in mp4 and mov; mkv and webm round them to a millisecond. The result appears under its name only when it is
    complete and on the disk.

    Args:
        video: a file whose video packets are copied with their times; or segments, which are joined in order and get
            decoding times of their own. Their timestamps are on the timeline of ``source``.
        source: the file it was made from.
        output: the result; mp4, mov, mkv or webm by its suffix. An existing file is replaced.
        start: seconds from the first frame of ``source``; see ``window_of`` for what it does to the timeline.
            Sound that overlaps the start is kept whole: mp4 and mov hide what comes before 0; mkv and webm cannot
            begin before 0, so there everything moves by that part of one packet.
        duration: seconds; None for all that follows.
        metadata: tags to add to those of ``source``.
        work: see ``unfinished``.

    Raises:
        VideoError: ``video`` or ``source`` cannot be read.
        EncoderError: the container is unknown, cannot hold the video, or writing fails; or the segments differ.
        DiskFullError: there is no room for the result.
        OutputError: the folder of ``output`` is gone, or cannot be written.
    """
    container = CONTAINERS.get(output.suffix.lower())
    if container is None:
        raise EncoderError(
            f"Expected an output named {', '.join(CONTAINERS)}, got {output}; choose one of these suffixes."
        )
    window = window_of(source, start, duration)
    job = _Job(video if isinstance(video, Path) else list(video), source, container, window, dict(metadata or {}))
    report = _run_atomically(job, output, work)
    for line in report.converted + report.dropped + report.damaged:
        logger.warning("%s: %s", output, line)
    return report


def _run_atomically(job: "_Job", output: Path, work: Path | None) -> MuxReport:
    """Run ``job`` into a hidden file and give it the name ``output`` once it is complete and on the disk."""
    with unfinished(output, work) as partial:
        try:
            report = job.run(partial)
            with writing_explained(output):
                sync_file(partial)
                partial.replace(output)
            sync_folder(output.parent)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, OSError):
                raise write_failure(output, error) from error
            raise EncoderError(
                f"Expected to write {output}, got {error}; check the free space, or choose .mkv, which holds most "
                "codecs."
            ) from error
    return report


@dataclass
class _Job:
    """One run of ``mux``."""

    video: Path | Sequence[Path]
    source: Path
    container: str
    window: Window
    metadata: dict[str, str]
    report: MuxReport = field(default_factory=MuxReport)
    _covers: list[AnyPacket] = field(default_factory=list)

    def run(self, partial: Path) -> MuxReport:
        first = self.video if isinstance(self.video, Path) else self.video[0]
        with open_source(first) as video, open_source(self.source) as source:
            picture = find_video_stream(video, first)
            tags = self._tags(source)
            options = self._options(picture, tags)
            with av.open(f"file:{partial}", "w", format=self.container, container_options=options) as output:
                output.metadata.update(tags)
                picture_track = self._add_picture(output, picture, find_video_stream(source, self.source))
                tracks = self._add_tracks(output, source)
                output.set_chapters(trimmed_chapters(source, self.window))
                output.mux(self._covers)
                streams = (self._pictures(video, picture, picture_track), self._others(source, tracks))
                for _, packet in heapq.merge(*streams, key=lambda item: item[0]):
                    output.mux(packet)
                output.mux(flush_all(tracks.values()))
            self._keep_aspect(partial, picture)
        for track in tracks.values():
            self.report.damaged += [f"{track.name}: {count} {fault}." for fault, count in track.faults.items()]
        return self.report

    def _keep_aspect(self, partial: Path, picture: VideoStream) -> None:
        aspect, context = picture.sample_aspect_ratio or Fraction(1), picture.codec_context
        if aspect == 1 or self.container not in ("matroska", "webm"):
            return
        if not store_aspect(partial, context.height, aspect * context.width / context.height):
            self.report.dropped.append("That pixels are not square: the file has no room to say it; write .mp4.")

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

    def _add_picture(self, output: OutputContainer, picture: VideoStream, original: VideoStream) -> Stream:
        stream = output.add_stream_from_template(picture, opaque=True)
        if self.container in ("matroska", "webm"):
            stream.codec_context.framerate = average_rate(original)  # else readers take the unit of x264's times for it
        if picture.sample_aspect_ratio:  # what the container of a segment says, its codec does not know
            stream.codec_context.sample_aspect_ratio = picture.sample_aspect_ratio
        if picture.codec_context.name == "hevc" and self.container in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"
        keep_labels(original, stream)
        if self.window.begin is not None:
            stream.metadata.pop("timecode", None)  # that of a frame that is cut off
        return stream

    def _add_tracks(self, output: OutputContainer, source: InputContainer) -> dict[int, Track]:
        main = find_video_stream(source, self.source).index
        tracks: dict[int, Track] = {}
        for stream in source.streams:
            skip = stream.index == main or is_chapter_track(stream, source)
            track = None if skip else self._add_track(output, stream)
            if track is not None:
                tracks[stream.index] = track
        return tracks

    def _add_track(self, output: OutputContainer, stream: Stream) -> Track | None:
        name, window = describe(stream), self.window
        if isinstance(stream, AttachmentStream) or stream.disposition & Disposition.attached_pic:
            self._add_extra(output, stream)
            return None
        if stream.type == "data" and "timecode" in stream.metadata and self.window.begin is None:
            self.report.copied.append(f"{name}: timecode")  # a tag of the picture, of which mov makes a track again
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

    def _add_extra(self, output: OutputContainer, stream: Stream) -> None:
        name = describe(stream)
        if isinstance(stream, AttachmentStream):
            kept, kind = add_attachment(output, stream), "attachments"
        else:
            packets, kind = add_cover(output, stream, self.source), "cover pictures of this kind"
            kept = packets is not None
            self._covers += packets or []
        if kept:
            self.report.copied.append(name)
        else:
            self.report.dropped.append(f"{name}: {self.container} holds no {kind}; write .mkv to keep it.")

    def _others(self, source: InputContainer, tracks: dict[int, Track]) -> Iterator[_Timed]:
        """Yield the packets of all other streams with their times in the output, until each is past the window."""
        waiting = set(tracks)
        if not tracks:
            return
        self.window.approach(source)
        for packet in self._demux(source, [source.streams[i] for i in tracks]):
            if packet.size == 0:
                continue  # the end of a stream, whichever it is
            track, times = tracks[packet.stream_index], packet_span(packet)
            if times is None:
                track.faults["packets without a time were left out"] += 1
                continue
            if self.window.is_over(times[0]):
                waiting.discard(packet.stream_index)
                if not waiting:
                    return
                continue
            for ready in track.feed(packet):
                yield _time(ready), ready

    def _demux(self, source: InputContainer, streams: list[Stream]) -> Iterator[AnyPacket]:
        spots = 0
        for packet in demux_safely(source, streams):
            if packet is not None:
                yield packet
            spots += packet is None
        if spots:
            self.report.damaged.append(
                f"{self.source.name}: {spots} damaged spots; sound and subtitles that were there are missing."
            )

    def _pictures(self, video: InputContainer, picture: VideoStream, track: Stream) -> Iterator[_Timed]:
        single = isinstance(self.video, Path)
        packets = video.demux(picture) if isinstance(self.video, Path) else joined(self.video, self.window.origin)
        for packet in cast("Iterator[AnyPacket]", packets):
            if packet.size:
                if single:
                    shift_packet(packet, self.window.origin)
                packet.stream = track
                yield _time(packet), packet


def _time(packet: AnyPacket) -> Fraction:
    ticks = packet.pts if packet.dts is None else packet.dts
    return (ticks or 0) * packet.time_base
