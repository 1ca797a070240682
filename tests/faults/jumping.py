"""Restores a video while the clocks jump: ``python jumping.py SOURCE OUTPUT OFFSETS STEPS WAIT_AT``, with clock.c
preloaded.

STEPS is a JSON list of (frames done, seconds the time of day is off, seconds the monotonic clock is off). After
WAIT_AT frames it waits for the end of standard input. Prints JSON: the progress as it was told, and the outcome.
"""

import json
import struct
import sys
import time
from pathlib import Path

from textovsr.cli.progress import ProgressLine
from textovsr.core.config import EncodeConfig
from textovsr.core.job import Job, Progress, Source
from textovsr.core.pipeline import restore_video
from textovsr.tests.helpers.restorers import Trail


def main(source: Path, output: Path, offsets: Path, steps: list[list[int]], wait_at: int) -> None:
    """Restore, and set the clocks on the way."""
    told: list[list[float | None]] = []
    days: list[float] = []
    show = ProgressLine(sys.stderr)

    def report(progress: Progress) -> None:
        for done, day, monotonic in steps:
            if progress.done == done:
                with offsets.open("r+b") as file:
                    file.write(struct.pack("ll", day, monotonic))
        days.append(time.time())
        told.append([progress.seconds, progress.fps, progress.seconds_left])
        show(progress)
        if progress.done == wait_at:
            sys.stdin.read()

    job = Job(encode=EncodeConfig(crf=18), segment=8)
    restored = restore_video(Source(source), Trail(), output, job, report)
    print(json.dumps({"told": told, "days": days, "frames": restored.frames, "seconds": restored.seconds}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), json.loads(sys.argv[4]), int(sys.argv[5]))
