"""What is asked of the pipeline, and what it tells: plain data."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from .config import CUT_THRESHOLD, Deinterlace, EncodeConfig, ResultConfig
from .errors import SettingError
from .video.mux import MuxReport


@dataclass(frozen=True)
class Source:
    """A video, or a part of it.

    Attributes:
        path: the file.
        start: seconds from the video's beginning.
        duration: seconds; None is to the end.
        deinterlace: whether the lines of two fields are made into whole pictures; auto looks at the file.
        strict: a damaged file is an error, instead of a report of what was lost.
    """

    path: Path
    start: float = 0.0
    duration: float | None = None
    deinterlace: Deinterlace = "auto"
    strict: bool = False


@dataclass(frozen=True)
class Job:
    """What to do with a video.

    Attributes:
        caption: what is to be seen; plain, or WebVTT for a text per shot.
        degradation: what is wrong with it; plain or WebVTT.
        result: size and colours of the result.
        encode: codec and quality of the result.
        cut_threshold: see ``video.cuts.mark_cuts``.
        segment: frames after which a segment is closed; 0 chooses by their size.
    """

    caption: str = ""
    degradation: str = ""
    result: ResultConfig = field(default_factory=ResultConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    cut_threshold: float = CUT_THRESHOLD
    segment: int = 0

    def __post_init__(self) -> None:
        if self.segment < 0:
            raise SettingError(f"Expected segments of at least 1 frame, got {self.segment}; choose 0 for automatic.")


@dataclass(frozen=True)
class Workplace:
    """What a job does with the disk, where it keeps what is finished until all of it is.

    Attributes:
        jobs: a folder for the folders of jobs; None puts each beside its output.
        ignore_space: begin even if the disk looks too small.
        overwrite: replace an output that exists; a folder of pictures is replaced only if it is empty.
    """

    jobs: Path | None = None
    ignore_space: bool = False
    overwrite: bool = True


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        done: frames finished, those of an earlier run included.
        total: frames in all, an estimate of the file's; None if unknown.
        seconds: since the start.
        newest: the newest restored frame, (3,scale*H,scale*W), not clamped, before colour fix and resizing; (3,0,0)
            where frames are restored elsewhere, on a cluster.
        resumed: how many of ``done`` an earlier run finished.
        finished: the newest finished segment, a video that can be watched; None if there is none yet.
        original: the frame that ``newest`` was made of, (3,H,W); None if there is none to compare with.
    """

    done: int
    total: int | None
    seconds: float
    newest: Tensor
    resumed: int = 0
    finished: Path | None = None
    original: Tensor | None = None

    @property
    def fps(self) -> float:
        """Frames a second since the start."""
        return (self.done - self.resumed) / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time left."""
        return None if self.total is None else max(self.total - self.done, 0) / max(self.fps, 1e-9)

    def __str__(self) -> str:
        of = "?" if self.total is None else str(max(self.total, self.done))
        left = "" if self.seconds_left is None else f", {_clock(self.seconds_left)} left"
        return f"{self.done}/{of} frames, {self.fps:.2f} fps{left}"


@dataclass(frozen=True)
class Restored:
    """The outcome of a job.

    Attributes:
        path: the file.
        frames: how many it has.
        width: pixels across.
        height: pixels down.
        seconds: this run took.
        streams: what became of sound, subtitles and the rest.
        shots: pieces between cuts.
        resumed: frames that an earlier run had finished.
        lost: sentences on what was damaged or missing in the source.
        notes: sentences on what else the user should know.
    """

    path: Path
    frames: int
    width: int
    height: int
    seconds: float
    streams: MuxReport
    shots: int = 1
    resumed: int = 0
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Report = Callable[[Progress], None]
"""Called after every finished frame, in the thread that runs the job."""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
