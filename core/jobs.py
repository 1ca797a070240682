"""Unfinished jobs: finding what runs that were stopped have left on the disk."""

import os
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .journal import FOLDER_SUFFIX, LOCK, read_lines


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

    The folder may be that of a job itself.
    """
    if folder.name.endswith(FOLDER_SUFFIX):
        return [_describe(folder)]
    found = []
    for parent, names, _ in os.walk(folder):
        jobs = [name for name in names if name.endswith(FOLDER_SUFFIX)]
        names[:] = [name for name in names if name not in jobs]
        found += [_describe(Path(parent, name)) for name in jobs]
    return sorted(found, key=lambda job: job.changed)


def _describe(folder: Path) -> UnfinishedJob:
    header, *segments = read_lines(folder) or [{}]
    stats = [path.stat() for path in folder.iterdir() if path.is_file()]
    return UnfinishedJob(
        folder=folder,
        source=str(header.get("source", "unknown")),
        output=str(header.get("output", "unknown")),
        segments=len(segments),
        frames=sum(int(segment["frames"]) for segment in segments),
        size=sum(stat.st_size for stat in stats),
        changed=max((stat.st_mtime for stat in stats), default=0.0),
        running=_is_running(folder),
    )


def _is_running(folder: Path) -> bool:
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
