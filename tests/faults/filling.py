"""Runs one job on a disk that is too small, then larger, until it fits: ``python filling.py DISK SOURCE WHOLE``.

DISK is the mount point of a tmpfs in a mount namespace of this process's own. Prints a JSON line for every attempt.
"""

import json
import subprocess
import sys
from pathlib import Path

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import DiskFullError
from textovsr.core.job import Job, Source, Workplace
from textovsr.core.journal import read_lines
from textovsr.core.pipeline import job_folder, restore_video
from textovsr.tests.helpers.restorers import Trail

STEP = 8


def main(disk: Path, source: Path, whole: Path) -> None:
    """Grow the disk by ``STEP`` KiB until the job is done."""
    job = Job(encode=EncodeConfig(crf=18), segment=8)
    restore_video(Source(source), Trail(), whole, job, lambda _: None)
    output = disk / "out.mp4"
    size = STEP
    while not output.exists():
        size += STEP
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(disk)], check=True)
        error = ""
        try:
            restore_video(Source(source), Trail(), output, job, lambda _: None, place=Workplace(ignore_space=True))
        except DiskFullError as caught:
            error = str(caught)
        frames = sum(line["frames"] for line in read_lines(job_folder(output))[1:])
        names = sorted(path.name for path in disk.iterdir())
        print(json.dumps({"size": size, "error": error, "frames": frames, "names": names}), flush=True)
    whole.with_name("out.mp4").write_bytes(output.read_bytes())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
