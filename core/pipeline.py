"""From a video to a restored video: three stages at once, in segments that survive a crash.

A thread decodes and looks for cuts, the caller's thread restores, another encodes. Bounded queues join them, so that
peak memory is that of one window and a few frames, whatever the length of the video.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from .config import QUEUE
from .durable import sha256_of
from .errors import OutputError, VideoError
from .finish import finish_frame, output_size
from .job import Job, Progress, Report, Restored, Source, Workplace
from .journal import FOLDER_SUFFIX, Journal
from .restoration import Restoration, Result, ShotFrame
from .restorer import Restorer
from .segments import SegmentEncoder
from .space import check_space, estimate_bytes
from .stages import Consumer, working_ahead
from .text.encode import join_prompt
from .text.vtt import parse_text
from .tiles import Check
from .video.cuts import CONTEXT, mark_cuts
from .video.encoders import check_output, check_stream, library_version, spec_like
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
        SettingError: settings out of range.
    """
    place = place or Workplace()
    check_output(output, job.encode)
    if job.encode.codec == "png":
        check_sequence(output)
    if not output.parent.is_dir():
        raise OutputError(f"Expected a folder {output.parent} to write to, found none; make it, or correct the path.")
    began = time.monotonic()
    with VideoReader(
        source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
    ) as reader:
        info = reader.info
        check_stream(spec_like(info, *output_size(info.width, info.height, job.result)), job.encode)
        plan = restorer.plan(info.height, info.width)
        header = _header(source, output, restorer, job, plan)
        with Journal(job_folder(output, place.jobs, header["key"]), header) as journal:
            run = _Run(source, reader, restorer, job, journal, report, check, began)
            if not place.ignore_space:
                run.check_space(output.parent)
            run.restore()
            streams = run.assemble(output)
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


def job_folder(output: Path, jobs: Path | None = None, key: str = "") -> Path:
    """The folder that keeps a job's finished segments: hidden beside its output, or in ``jobs`` under its key."""
    if jobs is not None:
        return jobs / f"{key[:16]}{FOLDER_SUFFIX}"
    return output.with_name(f".{output.name}{FOLDER_SUFFIX}")


def _header(source: Source, output: Path, restorer: Restorer, job: Job, plan: WindowPlan) -> dict[str, Any]:
    """What a job is. Its ``key`` follows everything that decides the result, and nothing else."""
    identity = {
        "input": sha256_of(source.path),
        "source": {**asdict(source), "path": None},
        "job": asdict(job),
        "restorer": restorer.identity,
        "suffix": output.suffix.lower(),
        "encoders": library_version(),
    }
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return {"key": key, "source": str(source.path), "output": str(output), "plan": asdict(plan)}


@dataclass
class _Run:
    """One run of a job, from where the journal stands."""

    source: Source
    reader: VideoReader
    restorer: Restorer
    job: Job
    journal: Journal
    report: Report
    check: Check
    began: float
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        info = self.reader.info
        self.size = output_size(info.width, info.height, self.job.result)
        self.total = info.frames_in(self.source.start, self.source.duration)
        self.resumed = self.journal.frames
        self._stat = self.source.path.stat()
        if self.resumed:
            self._tell(f"An earlier run had finished {self.resumed} frames; the work goes on after them.")

    def _tell(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self.notes.append(sentence)

    def check_space(self, folder: Path) -> None:
        """Check that the segments to come and the result will find room."""
        if self.total is None:
            return
        frames = self.total + max(self.total - self.resumed, 0)
        needed = estimate_bytes(*self.size, frames, self.job.encode)
        if self.resumed:
            written = sum(segment.picture.size for segment in self.journal.segments)
            needed = written * frames // self.resumed
        check_space(folder, needed)

    def restore(self) -> None:
        """Decode, restore and encode what is not finished yet, segment by segment."""
        info = self.reader.info
        plan = self.journal.header["plan"]
        plan = WindowPlan(plan["length"], plan["look_ahead"], tuple(plan["tiles"]))
        restoration = Restoration(self.restorer, plan, self.check, self._tell)
        encoder = SegmentEncoder(self.journal, spec_like(info, *self.size), self.job)
        begin = self.journal.pause()
        done = self.resumed
        with (
            working_ahead(self._frames(), max(QUEUE, plan.length), "textovsr-decode") as frames,  # the next window
            Consumer(encoder.run, QUEUE, "textovsr-encode") as encoding,
        ):
            for item in restoration.run(frames, begin):
                encoding.put(item)
                if isinstance(item, Result):
                    done += 1
                    self.report(self._progress(done, item))
        self.notes += encoder.notes

    def _progress(self, done: int, result: Result) -> Progress:
        finished = next(reversed(self.journal.pictures), None)
        seconds = time.monotonic() - self.began
        return Progress(done, self.total, seconds, result.image, self.resumed, finished, result.frame.image)

    def _frames(self) -> Iterator[ShotFrame]:
        """The frames that are not finished yet, with their texts and shots."""
        info = self.reader.info
        caption, degradation = parse_text(self.job.caption), parse_text(self.job.degradation)
        context = min(self.resumed, CONTEXT)
        marked = mark_cuts(
            self.reader.frames(skip=self.resumed - context), lambda frame: frame.image, self.job.cut_threshold
        )
        shot = max(self.journal.shots - 1, 0)
        for index, (frame, cut) in enumerate(marked):
            if index < context:
                continue
            shot += cut
            seconds = float(frame.pts * info.time_base - info.start_time)
            prompt = join_prompt(caption.at(seconds), degradation.at(seconds))
            yield ShotFrame(frame.image, prompt, shot, frame.pts, frame.duration)

    def assemble(self, output: Path) -> MuxReport:
        """Join the segments, and put sound and all the rest beside them."""
        now = self.source.path.stat()
        if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise VideoError(f"Expected {self.source.path} to stay as it is, but it changed meanwhile; run it again.")
        join = write_sequence if self.job.encode.codec == "png" else mux
        return join(
            self.journal.pictures,
            self.source.path,
            output,
            start=self.source.start,
            duration=self.source.duration,
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
