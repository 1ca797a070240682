"""Unfinished jobs: finding what runs that were stopped have left on the disk."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .job_lock import is_held
from .journal import FOLDER_SUFFIX, read_lines, segments_in

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnfinishedJob:
    """What a folder of a job holds.

    Attributes:
        folder: the job's own.
        source: the video it is made from.
        output: the file it will become.
        segments: finished ones.
        frames: in them.
        size: bytes on the disk.
        changed: time of the last change, in seconds since 1970.
        running: whether a run is at work in it now.
    """

    folder: Path
    source: str
    output: str
    segments: int
    frames: int
    size: int
    changed: float
    running: bool


def find_jobs(folder: Path) -> list[UnfinishedJob]:
    """Find the jobs in a folder and in all folders below it, oldest first; links are not followed.

    The folder may be that of a job itself. A job that ends meanwhile is left out, as is one that may not be read.
    """
    if folder.name.endswith(FOLDER_SUFFIX):
        return list(_describe(folder))
    found: list[UnfinishedJob] = []
    for parent, names, _ in os.walk(folder):
        jobs = [name for name in names if name.endswith(FOLDER_SUFFIX)]
        names[:] = [name for name in names if name not in jobs]
        for name in jobs:
            found += _describe(Path(parent, name))
    return sorted(found, key=lambda job: job.changed)


def _describe(folder: Path) -> Iterator[UnfinishedJob]:
    try:
        header, *lines = read_lines(folder) or [{}]
        stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    except OSError as error:
        log.debug("%s: %s", folder, error)
        return
    segments = segments_in(lines)
    yield UnfinishedJob(
        folder=folder,
        source=str(header.get("source", "unknown")),
        output=str(header.get("output", "unknown")),
        segments=len(segments),
        frames=sum(segment.frames for segment in segments),
        size=sum(stat.st_size for stat in stats),
        changed=max((stat.st_mtime for stat in stats), default=0.0),
        running=is_held(folder),
    )
