"""The quality of a video, frame by frame: read once beside its reference, in constant memory, at any length."""

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..config import CUT_THRESHOLD, DEVICE
from ..device import pick_device
from ..durable import writing_explained
from ..errors import EmptyVideoError, SettingError
from ..job import Source
from ..unfinished import unfinished
from ..video.cuts import mark_cuts
from ..video.reader import Frame, VideoReader
from .clip_iqa import load_found_clip_iqa
from .measures import Measure, choose_measures, worst_measure
from .meters import LoadClip, Meters, Moment, Pictures, Size, make_meters
from .profile import Profile
from .rows import Row, RowWriter, add_columns, read_rows
from .summary import Summary, WorstRule, summarize
from .vmaf import VmafMeter, find_ffmpeg

Report = Callable[[int, int | None, Tensor], None]
"""Takes the number of frames read so far, of all if that is known, and the newest one, (3,H,W); may raise to cancel."""


@dataclass(frozen=True)
class ReportConfig:
    """What is measured, and how closely.

    Attributes:
        metrics: names from ``measures``; none are all of our own that can be measured.
        lenient: a named measure that cannot be taken is left out with a note, as are those of no names.
        every: of the frames, each ``every``-th is measured, from the first on.
        worst_by: the measure that decides what the worst moments are; nothing chooses.
        worst: how many of them.
        window: seconds of such a moment.
        resize: a video of another size than its reference is brought to it, instead of being refused.
        line: where the profile's line is, 0 (top) to 1 (bottom).
        cut_threshold: see ``video.cuts.mark_cuts``.
        device: where flow and networks run, see ``device.pick_device``.
    """

    metrics: tuple[str, ...] = ()
    lenient: bool = False
    every: int = 1
    worst_by: str = ""
    worst: int = 6
    window: float = 1.0
    resize: bool = False
    line: float = 0.5
    cut_threshold: float = CUT_THRESHOLD
    device: str = DEVICE

    def __post_init__(self) -> None:
        if self.every < 1 or self.worst < 1:
            raise SettingError(f"Expected every and worst of at least 1, got {self.every} and {self.worst}.")
        if not self.window > 0 or not 0 <= self.line <= 1:
            raise SettingError(
                f"Expected a window above 0 seconds and a line from 0 to 1, got {self.window:g} and {self.line:g}."
            )


@dataclass(frozen=True)
class QualityReport:
    """What was found.

    Attributes:
        source: the video, or the part of it.
        reference: what it was compared with, or None.
        sizes: width and height of the video, and of the reference if there is one.
        frames: that were read.
        measures: that were taken.
        worst_by: the measure that decides what the worst moments are.
        summary: numbers.
        profiles: of the video, and of the reference if there is one, each (T,W,3) uint8.
        stride: frames from one row of a profile to the next.
        notes: sentences on what the user should know.
    """

    source: Source
    reference: Source | None
    sizes: tuple[Size, ...]
    frames: int
    measures: tuple[Measure, ...]
    worst_by: Measure
    summary: Summary
    profiles: tuple[Tensor, ...]
    stride: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """A video and, maybe, its reference."""

    source: Source
    reference: Source | None = None


def make_report(
    videos: Compared,
    config: ReportConfig | None = None,
    rows: Path | None = None,
    report: Report | None = None,
    clip: LoadClip | None = None,
) -> QualityReport:
    """Read a video, and its reference in lockstep, once, and measure it.

    Peak memory: ten frames, what the measures need for one, and pictures of a fixed size, whatever the length.

    Args:
        videos: what is measured, and against what.
        config: what is measured.
        rows: a file for the values of every frame, as CSV; it is overwritten.
        report: called after every frame.
        clip: where CLIP-IQA comes from; None looks for it where other programs keep theirs.

    Raises:
        VideoError: from ``VideoReader``.
        SettingError: the two have different sizes, or the settings contradict each other.
        InputError, MissingDependencyError, WeightsError: a measure that was asked for cannot be taken.
    """
    config = config or ReportConfig()
    wanted = choose_measures(config.metrics, videos.reference is not None, config.lenient)
    with ExitStack() as stack:
        readers = [stack.enter_context(_open(source)) for source in _sources(videos)]
        asked = bool(config.metrics) and not config.lenient
        sizes = tuple((reader.info.width, reader.info.height) for reader in readers)
        _check_sizes(sizes, config)
        device = pick_device(config.device)
        meters = make_meters(wanted, sizes, clip or (lambda size: load_found_clip_iqa(device)), device, asked)
        deciding = worst_measure(meters.measures, config.worst_by)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="textovsr-report-")))
        run = _Run(videos, config, meters, folder)
        run.read(readers, report)
        path = run.complete(rows)
        step = config.every / float(readers[0].info.frame_rate)
        summary = summarize(read_rows(path), meters.measures, WorstRule(deciding, config.worst, config.window, step))
    return QualityReport(
        videos.source, videos.reference, sizes, run.frames, meters.measures, deciding, summary,
        tuple(profile.picture() for profile in run.profiles), run.profiles[0].stride, (*meters.notes, *run.notes),
    )  # fmt: skip


def _sources(videos: Compared) -> list[Source]:
    return [videos.source] if videos.reference is None else [videos.source, videos.reference]


def _open(source: Source) -> VideoReader:
    return VideoReader(source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict)


def _check_sizes(sizes: tuple[Size, ...], config: ReportConfig) -> None:
    if len(set(sizes)) > 1 and not config.resize:
        (width, height), (true_width, true_height) = sizes
        raise SettingError(
            f"Expected a video of {true_width}x{true_height} pixels as its reference has, got {width}x{height}; let it "
            "be resized, or give a reference of its size."
        )


class _Run:
    """One pass over a video and its reference."""

    def __init__(self, videos: Compared, config: ReportConfig, meters: Meters, folder: Path) -> None:
        self._videos, self._config, self._meters, self._folder = videos, config, meters, folder
        self.frames = 0
        self.profiles = [Profile(config.line) for _ in _sources(videos)]
        self.notes: list[str] = []
        self._before: deque[Pictures] = deque(maxlen=2)
        self._shot = 0

    def read(self, readers: list[VideoReader], report: Report | None) -> None:
        """Measure everything but VMAF into a file of rows, and VMAF beside it."""
        names = [measure.name for measure in self._meters.measures]
        with ExitStack() as stack:
            vmaf = None
            if self._meters.vmaf:
                meter = VmafMeter(find_ffmpeg(), self._meters.vmaf, self._config.every)
                vmaf = stack.enter_context(meter)
            with RowWriter(self._own_rows, [name for name in names if name not in self._meters.vmaf]) as writer:
                self._read(readers, (writer, vmaf), report)
            if vmaf is not None:
                self._add_vmaf(vmaf, names)
        for reader, name in zip(readers, ("video", "reference"), strict=False):
            self.notes += [f"Of the {name}: {sentence}" for sentence in reader.report.lost]

    def _read(
        self, readers: list[VideoReader], sinks: tuple[RowWriter, VmafMeter | None], report: Report | None
    ) -> None:
        writer, vmaf = sinks
        total = _total(readers[0], self._videos.source)
        for pair, cut in mark_cuts(self._pairs(readers), lambda pair: pair[-1].image, self._config.cut_threshold):
            pictures = Pictures(pair[0].image, pair[1].image if len(pair) > 1 else None)
            self._take(pictures, cut, writer, _times(pair, readers))
            if vmaf is not None and pictures.reference is not None:
                vmaf.add(pictures.fitted, pictures.reference)
            if report is not None:
                report(self.frames, total, pictures.image)

    def _pairs(self, readers: list[VideoReader]) -> Iterator[tuple[Frame, ...]]:
        """Frames side by side, by their number; ends with the shorter video."""
        streams = [iter(reader) for reader in readers]
        while True:
            pair = [next(stream, None) for stream in streams]
            if None in pair:
                break
            yield tuple(frame for frame in pair if frame is not None)
        if any(frame is not None for frame in pair):
            longer = "video" if pair[0] is not None else "reference"
            self.notes.append(f"The {longer} is longer than the other: what follows its last frame was not measured.")

    def _take(self, pictures: Pictures, cut: bool, writer: RowWriter, times: tuple[float, float]) -> None:
        if cut:
            self._before.clear()
            self._shot += 1
        if self.frames % self._config.every == 0:
            values = self._meters.measure(Moment(pictures, tuple(self._before)))
            writer.write(Row(self.frames, times[0], self._shot, times[1], values))
        for profile, image in zip(self.profiles, (pictures.image, pictures.reference), strict=False):
            assert image is not None
            profile.add(image)
        self._before.append(pictures)
        self.frames += 1

    @property
    def _own_rows(self) -> Path:
        return self._folder / "own.csv"

    @property
    def _all_rows(self) -> Path:
        return self._folder / "all.csv"

    def _add_vmaf(self, vmaf: VmafMeter, names: list[str]) -> None:
        with RowWriter(self._all_rows, names) as writer:
            for row in add_columns(read_rows(self._own_rows), self._meters.vmaf, vmaf.finish()):
                writer.write(row)

    def complete(self, rows: Path | None) -> Path:
        """The file of all rows, put where the user wants it."""
        if not self.frames:
            raise EmptyVideoError(f"Expected frames in {self._videos.source.path}, got none.")
        path = self._all_rows if self._meters.vmaf else self._own_rows
        if rows is None:
            return path
        rows.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(rows) as partial, writing_explained(rows):
            shutil.copyfile(path, partial)
            return partial.replace(rows)


def _total(reader: VideoReader, source: Source) -> int | None:
    whole = replace(source, path=Path()) == Source(Path(), deinterlace=source.deinterlace, strict=source.strict)
    return reader.info.frames if whole else None


def _times(pair: tuple[Frame, ...], readers: list[VideoReader]) -> tuple[float, float]:
    """Seconds of the frames since their files begin, as ``Source.start`` counts them."""
    times = [float(f.pts * r.info.time_base - r.info.start_time) for f, r in zip(pair, readers, strict=True)]
    return times[0], times[1] if len(times) > 1 else float("nan")
