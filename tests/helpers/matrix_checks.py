"""Running a case of the matrix through the whole engine, and what must be true of what comes out."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type as SideDataType
from torch import Tensor

from textovsr.core.config import ResultConfig
from textovsr.core.job import Job, Restored, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.windows import WindowPlan

from .clips import read_number, write_clip
from .matrix import Case
from .pictures import BITS, COLOURS, Look, from_frame, patches, read_patches, seen
from .restorers import Enlarge, EnlargedShot

Packets = list[tuple[Fraction, bytes]]


class Watching(Enlarge):
    """Keeps what it is shown."""

    def __init__(self, scale: int) -> None:
        super().__init__(4, 1, scale)
        self.images: list[np.ndarray] = []

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> EnlargedShot:
        self.shots += 1
        return _WatchedShot(self)


class _WatchedShot(EnlargedShot):
    restorer: Watching

    def draw(self, image: Tensor) -> Tensor:
        self.restorer.images.append(image.numpy())
        return super().draw(image)


@dataclass
class Film:
    """What PyAV alone finds in a file."""

    frames: list[av.VideoFrame] = field(default_factory=list)
    times: list[Fraction] = field(default_factory=list)
    packets: dict[str, list[Packets]] = field(default_factory=dict)
    chapters: list[tuple[Fraction, Fraction, str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    languages: list[str | None] = field(default_factory=list)
    attachments: int = 0
    aspect: Fraction = Fraction(1)
    codec: str = ""
    rate: Fraction | None = None
    base: Fraction = Fraction(1)
    last: tuple[Fraction, Fraction] = (Fraction(-1), Fraction(0))  # the last packet of the picture: time and duration


def read(path: Path) -> Film:
    film = Film()
    with av.open(str(path)) as container:
        streams = container.streams
        film.metadata = dict(container.metadata)
        film.attachments = len(streams.attachments)
        film.rate, film.base = streams.video[0].average_rate, streams.video[0].time_base
        film.codec = streams.video[0].codec_context.codec.canonical_name
        film.languages = [s.language or "und" for s in (*streams.audio, *streams.subtitles)]
        film.chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in container.chapters()
        ]
        film.packets = {kind: [[] for _ in getattr(streams, kind)] for kind in ("audio", "subtitles")}
        places = {s.index: (kind, i) for kind in film.packets for i, s in enumerate(getattr(streams, kind))}
        for packet in container.demux([s for s in streams if s.type in ("video", "audio", "subtitle")]):
            if packet.stream_index in places and packet.size:
                kind, i = places[packet.stream_index]
                film.packets[kind][i].append((packet.pts * packet.time_base, bytes(packet)))
            elif packet.stream is streams.video[0]:  # also of the empty packet at the end, which has no index
                film.frames += packet.decode()
                if packet.size:
                    film.last = (packet.pts * packet.time_base, packet.duration * packet.time_base)
        film.aspect = streams.video[0].sample_aspect_ratio or Fraction(1)
    film.times = [f.pts * f.time_base for f in film.frames]
    return film


@dataclass
class Outcome:
    """A case that was run."""

    case: Case
    before: Film
    after: Film
    seen: list[np.ndarray]
    result: Restored


def run(case: Case, folder: Path) -> Outcome:
    source, output = write_clip(folder / case.source, case.clip), folder / f"out{case.output}"
    restorer = Watching(case.scale)
    result = ResultConfig(height=case.size[1] * case.scale)
    job = Job(encode=case.encode, result=result, segment=case.segment)
    restored = restore_video(Source(source, *case.trim), restorer, output, job, lambda _: None)
    return Outcome(case, read(source), read(output), restorer.images, restored)


def span(outcome: Outcome) -> tuple[Fraction, Fraction]:
    """Begin and end of the trim on the source's timeline, on ticks of its picture."""
    (start, duration), before = outcome.case.trim, outcome.before
    ends = [Fraction(str(start)), Fraction(str(start)) + Fraction(str(duration or 1000))]
    begin, end = (before.times[0] + math.ceil(seconds / before.base) * before.base for seconds in ends)
    return begin, end


def kept(outcome: Outcome) -> list[int]:
    """The numbers of the frames that the trim keeps."""
    begin, end = span(outcome)
    return [n for n, time in enumerate(outcome.before.times) if begin <= time < end]


def tick(suffix: str) -> Fraction:
    """How exact the times of a container are."""
    return {".mkv": Fraction(1, 1000), ".webm": Fraction(1, 1000), ".gif": Fraction(1, 100)}.get(suffix, Fraction(0))


def rounding(case: Case) -> Fraction:
    """The tick to which the result's times are rounded; 0 where they were on such ticks before."""
    return Fraction(0) if tick(Path(case.source).suffix) == tick(case.output) else tick(case.output)


def check_source(outcome: Outcome) -> None:
    """The file is what the case says: else the other checks would check something else."""
    case, before = outcome.case, outcome.before
    wanted = [(time - case.times[0]) * case.base for time in case.times]
    error = tick(Path(case.source).suffix)
    if case.clock_starts_anywhere:
        error = len(wanted) * Fraction(1, 90_000)  # rounded ticks, added up between the times that are stored
    elif case.source.endswith(".avi") and case.clip.sounds:
        error = 3 * case.base  # frames go to numbered places, wherever the sound begins
    assert all(abs(t - before.times[0] - w) <= error for t, w in zip(before.times, wanted, strict=True))
    if not case.clock_starts_anywhere and not case.clip.sounds and not case.source.endswith(".avi"):
        assert before.times[0] == case.times[0] * case.base


def check_times(outcome: Outcome) -> None:
    case, before, after = outcome.case, outcome.before, outcome.after
    numbers = kept(outcome)
    wanted = [before.times[n] for n in numbers]
    if case.trim[0]:
        wanted = [time - span(outcome)[0] for time in wanted]
    error, moved = rounding(case) / (1 if case.trim[0] else 2), Fraction(0)  # the trim's beginning is rounded too
    if case.clock_starts_anywhere or (tick(case.output) and case.clip.sounds):  # sound before 0 moves all in mkv
        moved, error = after.times[0] - wanted[0], 2 * error
    assert len(after.times) == len(wanted) == outcome.result.frames
    in_order = all(film.last[0] == film.times[-1] for film in (before, after))  # else the file does not say it
    if case.trim[1] is None and in_order:
        assert abs(after.last[1] - before.last[1]) <= Fraction(1, 1000)
    assert all(abs(a - moved - w) <= error for a, w in zip(after.times, wanted, strict=True)), (after.times, wanted)


def check_numbers(outcome: Outcome) -> None:
    expected, look = kept(outcome), outcome.case.expected
    assert [number_of(image) for image in outcome.seen] == expected
    assert [number_of(from_frame(frame, look)) for frame in outcome.after.frames] == expected


def number_of(image: np.ndarray) -> int:
    return read_number(image[:, : image.shape[1] // 2], BITS)


def check_colours(outcome: Outcome) -> None:
    case = outcome.case
    look = case.expected
    count = patches(case.size[0])
    wanted = seen(COLOURS[:count], case.pix_fmt, look.matrix)
    for image in (*outcome.seen, *(from_frame(frame, look) for frame in outcome.after.frames)):
        assert np.abs(read_patches(image, count) - wanted).max() * 255 <= case.tolerance
    for frame in outcome.after.frames:
        found = Look(frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
        assert found == look


def check_shape(outcome: Outcome) -> None:
    case, after = outcome.case, outcome.after
    width, height = (case.scale * side for side in case.size)
    aspect = case.clip.aspect
    if case.clip.rotation % 180:
        aspect = 1 / aspect
    assert after.codec == case.encode.codec
    if tick(case.output) and case.steady:  # without being told, FFmpeg finds 1000 in Matroska
        assert after.rate == pytest.approx(case.rate, rel=1e-5)  # which counts nanoseconds a frame
    assert after.aspect == aspect
    for frame in after.frames:
        assert (frame.width, frame.height, frame.format.name) == (width + width % 2, height, case.stored)
        assert SideDataType.DISPLAYMATRIX not in frame.side_data  # it is upright


def check_sounds(outcome: Outcome) -> None:
    case, before, after = outcome.case, outcome.before, outcome.after
    error = max(rounding(case), tick(Path(case.source).suffix) if case.output == ".mov" else Fraction(0))
    if not error and (case.clock_starts_anywhere or case.trim[0]):  # moved by ticks of the picture, not of the sound
        error = Fraction(1, 48_000)
    header = 7 if case.source.endswith(".ts") and case.clip.sounds == ("aac",) else 0  # ADTS, which only ts has
    sounds = [kept_packets(outcome, packets) for packets in before.packets["audio"]]
    assert len(sounds) == len(after.packets["audio"]) == len(case.clip.sounds)
    first = before.times[kept(outcome)[0]]
    for old, new in zip(sounds, after.packets["audio"], strict=True):
        assert len(old) > 1
        assert [data for _, data in new] == [data[header:] for _, data in old]
        for (told, _), (tnew, _) in zip(old, new, strict=True):
            assert abs((tnew - after.times[0]) - (told - first)) <= error


def kept_packets(outcome: Outcome, packets: Packets) -> Packets:
    """Those that overlap the trim; a packet lasts until the next."""
    begin, end = span(outcome)
    begin = begin if outcome.case.trim[0] else packets[0][0]
    ends = [time for time, _ in packets[1:]] + [packets[-1][0] + 1]
    return [packet for packet, over in zip(packets, ends, strict=True) if over > begin and packet[0] < end]


def check_company(outcome: Outcome) -> None:
    case, before, after = outcome.case, outcome.before, outcome.after
    assert after.chapters == before.chapters
    assert len(after.chapters) == len(case.clip.chapters)
    assert after.attachments == before.attachments == int(case.clip.attachment)
    assert after.languages == before.languages
    assert {k.lower(): v for k, v in after.metadata.items()}.items() >= case.clip.metadata.items()
    assert len(after.packets["subtitles"]) == len(before.packets["subtitles"]) == bool(case.clip.subtitles)
    for old, new in zip(before.packets["subtitles"], after.packets["subtitles"], strict=True):
        texts = [[(time, data) for time, data in packets if b"line" in data] for packets in (old, new)]  # mp4 adds gaps
        assert [time for time, _ in texts[0]] == [time for time, _ in texts[1]]
        assert [f"line {n}".encode() in data for n, (_, data) in enumerate(texts[1])] == [True] * 3
    assert not outcome.result.streams.dropped
    assert not outcome.result.lost


CHECKS = (check_source, check_times, check_numbers, check_colours, check_shape, check_sounds, check_company)
