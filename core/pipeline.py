"""From a video to a restored video: three stages at once, in segments that survive a crash.

A thread decodes and looks for cuts, the caller's thread restores, another encodes. Bounded queues join them, so that
peak memory is that of one window and a few frames, whatever the length of the video.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from .alone import Alone
from .durable import sha256_of
from .existing import check_folder, check_new
from .finish import finish_frame, output_size
from .job import Job, Progress, Report, Restored, Source, Workplace
from .journal import FOLDER_SUFFIX, Journal
from .prompts import Prompter
from .restoration import Restoration, Result, ShotFrame
from .restorer import Restorer
from .space import check_space, estimate_bytes
from .text.encode import join_prompt
from .text.vtt import parse_text
from .tiles import Check
from .unchanged import Unchanged
from .video.cuts import CONTEXT, mark_cuts
from .video.encoders import VideoSpec, check_output, check_stream, library_version, spec_like
from .video.mux import MuxReport, mux
from .video.reader import VideoReader
from .video.sequence import check_sequence, write_sequence
from .windows import WindowPlan

log = logging.getLogger(__name__)


def restore_video(
    source: Source,
    restorer: Restorer,
    output: Path,
    job: Job,
    report: Report,
    check: Check = lambda: None,
    place: Workplace | None = None,
) -> Restored:
    """Restore a video into ``output``: every frame, its exact time stamps, and all other streams of the source.

    The final name appears only when the file is whole. Finished segments are kept in the job's folder (``job_folder``)
    until then: whatever ends a run, the same call goes on after the last of them.

    Args:
        source: what to read.
        restorer: the restoration system.
        output: the file to write; its suffix is the container. A folder for the codec ``png``.
        job: texts, size, colours, encoding.
        report: called after every frame.
        check: called between pieces of work; raises to cancel.
        place: where finished segments are kept; None is beside the output.

    Raises:
        VideoError: the source cannot be read, or changed meanwhile.
        OutputError: the result cannot be written as asked, there is no room for it, or another run is writing it.
        OutputExistsError: it exists, also since this run began, and is not to be replaced.
        SettingError: settings out of range.
    """
    order = Order(source, output, job, place or Workplace())
    return carry_out(order, Alone(restorer), report, check)


@dataclass(frozen=True)
class Order:
    """A job with its source, its output and its workplace; see ``restore_video``."""

    source: Source
    output: Path
    job: Job
    place: Workplace = field(default_factory=Workplace)


class Engine(Protocol):
    """Who restores the frames of a job: this process, or others."""

    def describe(self, height: int, width: int) -> tuple[str, WindowPlan]:
        """The restorer's ``identity``, and its plan for frames of this size."""

    def open_journal(self, folder: Path, header: Mapping[str, Any]) -> Journal:
        """The journal that the finished segments are recorded in."""

    def restore(self, run: "Run") -> None:
        """Restore what is not finished yet, and record it."""


def carry_out(order: Order, engine: Engine, report: Report, check: Check) -> Restored:
    """Do a job; see ``restore_video``, whose errors it raises, beside those of the engine."""
    source, output, job, place = order.source, order.output, order.job, order.place
    check_output(output, job.encode)
    _check_replaceable(order)
    check_folder(output)
    began = time.monotonic()
    with VideoReader(
        source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
    ) as reader:
        info = reader.info
        check_stream(spec_like(info, *output_size(info.width, info.height, job.result)), job.encode)
        unchanged = Unchanged(source.path)  # what is hashed now is what the reader has open
        header = _header(order, *engine.describe(info.height, info.width))
        unchanged.check()
        with engine.open_journal(job_folder(output, place.jobs, header["key"]), header) as journal:
            _check_replaceable(order)  # again: the run that held the lock until now may have finished it
            run = Run(order, reader, journal, report, check, began)
            if not place.ignore_space:
                run.check_space(output.parent)
            engine.restore(run)
            streams = run.assemble()
            result = Restored(
                output,
                journal.frames,
                *run.size,
                seconds=time.monotonic() - began,
                streams=streams,
                shots=journal.shots,
                resumed=run.resumed,
                lost=(*reader.report.lost, *streams.damaged),
                notes=(*reader.report.notes, *run.notes),
            )
            journal.remove()
    return result


def _check_replaceable(order: Order) -> None:
    """Insist that the output may be written.

    Raises:
        OutputExistsError: it exists, and must not be replaced.
    """
    if order.job.encode.codec == "png":
        check_sequence(order.output)
    elif not order.place.overwrite:
        check_new(order.output)


def job_folder(output: Path, jobs: Path | None = None, key: str = "") -> Path:
    """The folder that keeps a job's finished segments: hidden beside its output, or in ``jobs`` under its key."""
    if jobs is not None:
        return jobs / f"{key[:16]}{FOLDER_SUFFIX}"
    return output.with_name(f".{output.name}{FOLDER_SUFFIX}")


def _header(order: Order, restorer: str, plan: WindowPlan) -> dict[str, Any]:
    """What a job is. Its ``key`` follows everything that decides the result, and nothing else."""
    source, output = order.source, order.output
    content = sha256_of(source.path)
    identity = {
        "input": content,
        "source": {**asdict(source), "path": None},
        "job": asdict(order.job),
        "restorer": restorer,
        "suffix": output.suffix.lower(),
        "encoders": library_version(),
    }
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return {"key": key, "source": str(source.path), "input": content, "output": str(output), "plan": asdict(plan)}


@dataclass
class Run:
    """One run of a job, from where the journal stands.

    Attributes:
        size: width and height of the result.
        total: frames of the source, an estimate; None if unknown.
        resumed: frames that an earlier run had finished.
        notes: sentences for the user.
    """

    order: Order
    reader: VideoReader
    journal: Journal
    report: Report
    check: Check
    began: float
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        info, source = self.reader.info, self.order.source
        self.size = output_size(info.width, info.height, self.order.job.result)
        self.total = info.frames_in(source.start, source.duration)
        self.resumed = self.journal.frames
        if self.resumed:
            self.tell(f"An earlier run had finished {self.resumed} frames; the work goes on after them.")

    def tell(self, sentence: str) -> None:
        """Tell the user something, now and at the end."""
        log.warning("%s", sentence)
        self.notes.append(sentence)

    @property
    def plan(self) -> WindowPlan:
        """The windows of the job's first run."""
        plan = self.journal.header["plan"]
        return WindowPlan(plan["length"], plan["look_ahead"], tuple(plan["tiles"]), tuple(plan.get("batches", ())))

    @property
    def spec(self) -> VideoSpec:
        """The stream that segments hold."""
        return spec_like(self.reader.info, *self.size)

    def check_space(self, folder: Path) -> None:
        """Check that the segments to come and the result will find room."""
        if self.total is None:
            return
        frames = self.total + max(self.total - self.resumed, 0)
        needed = estimate_bytes(*self.size, frames, self.order.job.encode)
        if self.resumed:
            written = sum(segment.picture.size for segment in self.journal.segments)
            needed = written * frames // self.resumed
        check_space(folder, needed)

    def progress(self, done: int, newest: Tensor, original: Tensor | None = None) -> Progress:
        """How far the run is, with the newest frame and what it was made of."""
        finished = next(reversed(self.journal.pictures), None)
        seconds = time.monotonic() - self.began
        return Progress(done, self.total, seconds, newest, self.resumed, finished, original)

    def frames(self, lead: int = 0) -> Iterator[ShotFrame]:
        """The frames that are not finished yet, and ``lead`` before them, with their texts and shots."""
        prompted = Prompter(self.order.job, self.reader.info)
        begin = self.resumed - lead
        context = min(begin, CONTEXT)
        marked = mark_cuts(
            self.reader.frames(skip=begin - context), lambda frame: frame.image, self.order.job.cut_threshold
        )
        shot = max(self.journal.shots - 1, 0)
        for index, (frame, cut) in enumerate(marked, -context - lead):
            if index < -lead:
                continue
            shot += cut and index >= 0  # the shot that the lead is of was counted
            yield prompted(frame, shot)

    def assemble(self) -> MuxReport:
        """Join the segments, and put sound and all the rest beside them."""
        source = self.order.source
        self.journal.check_source()
        join = write_sequence if self.order.job.encode.codec == "png" else mux
        return join(
            self.journal.pictures,
            source.path,
            self.order.output,
            start=source.start,
            duration=source.duration,
            work=self.journal.folder,
        )


def restore_frames(
    frames: Iterable[tuple[Tensor, float]], restorer: Restorer, job: Job, check: Check = lambda: None
) -> Iterator[Tensor]:
    """Restore a stream of frames that are in memory.

    Args:
        frames: (3,H,W) RGB in [0,1] and the frame's time in seconds.
        restorer: the restoration system.
        job: texts, size and colours.
        check: raises to cancel.

    Yields:
        (3,H',W') in [0,1], as many as came in. Peak memory: one window and its look-ahead.
    """
    caption, degradation = parse_text(job.caption), parse_text(job.degradation)

    def prompted() -> Iterator[ShotFrame]:
        shot = 0
        for (image, seconds), cut in mark_cuts(frames, lambda item: item[0], job.cut_threshold):
            shot += cut
            yield ShotFrame(image, join_prompt(caption.at(seconds), degradation.at(seconds)), shot)

    stream = prompted()
    first = next(stream, None)
    if first is None:
        return
    height, width = first.image.shape[-2:]
    size = output_size(width, height, job.result)
    restoration = Restoration(restorer, restorer.plan(height, width), check, log.warning)
    for item in restoration.run(chain([first], stream)):
        if isinstance(item, Result):
            yield finish_frame(item, job.result, size).clamp(0, 1)
