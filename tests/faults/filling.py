"""Does things on a disk that is too small, then larger, until they fit: ``python filling.py DISK SOURCE RESULTS``.

DISK is the mount point of a tmpfs in a mount namespace of this process's own. What was made is copied to the folder
RESULTS. Prints a JSON line for every attempt.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from textovsr.core.config import EncodeConfig
from textovsr.core.degrade.video import DegradeJob, degrade_video
from textovsr.core.errors import DiskFullError
from textovsr.core.from_frames import FramesJob, video_from_frames
from textovsr.core.job import Job, Source, Workplace
from textovsr.core.latents import LatentStore
from textovsr.core.pipeline import restore_video
from textovsr.core.transcode import save_video
from textovsr.tests.faults.forker import finished
from textovsr.tests.helpers.restorers import Trail

STEP = 8
FINE = EncodeConfig(crf=10)


def restore(source: Path, output: Path) -> None:
    """What TextOVSR Upscale and Diffusion Restore do."""
    job, place = Job(encode=EncodeConfig(crf=18), segment=8), Workplace(ignore_space=True)
    restore_video(Source(source), Trail(), output, job, lambda _: None, place=place)


def copy(source: Path, output: Path) -> None:
    """What Save Video does."""
    save_video(Source(source), output)


def encode(source: Path, output: Path) -> None:
    """What Save Video does where a copy would not be exact."""
    save_video(Source(source, duration=2.0), output, FINE)


def degrade(source: Path, output: Path) -> None:
    """What Degrade Video does."""
    degrade_video(Source(source, duration=2.0), output, DegradeJob(encode=FINE), lambda _: None)


def decode(_: Path, output: Path) -> None:
    """What Decode Video does."""
    frames = torch.rand(20, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    video_from_frames(iter(frames), output, FramesJob(20, FINE), None, lambda _: None)


def latents(_: Path, output: Path) -> None:
    """What Encode Video does; the file has no name while it is in use."""
    with LatentStore(output.parent, 0) as store:
        for _number in range(10):
            store.append(torch.zeros(1, 1000))
        output.write_bytes(store.finish().numpy().tobytes()[:1])


TASKS: tuple[Callable[[Path, Path], None], ...] = (restore, copy, encode, degrade, decode, latents)


def main(disk: Path, source: Path, results: Path) -> None:
    """Do each task, on a disk that grows by ``STEP`` KiB until there is room."""
    for task in TASKS:
        output, size = disk / f"{task.__name__}.mp4", STEP
        while not output.exists():
            subprocess.run(["mount", "-o", f"remount,size={size}k", str(disk)], check=True)
            error = ""
            try:
                task(source, output)
            except DiskFullError as caught:
                error = str(caught)
            names = sorted(path.name for path in disk.iterdir())
            told = {"task": task.__name__, "error": error, "frames": finished(output), "names": names}
            print(json.dumps(told), flush=True)
            size += STEP
        shutil.move(output, results)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
