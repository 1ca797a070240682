"""``textovsr jobs``: what stopped runs have left on the disk."""

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingError
from .common import Outcome

if TYPE_CHECKING:
    from ..core.jobs import UnfinishedJob


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "folders",
        type=Path,
        nargs="*",
        default=[Path()],
        metavar="FOLDER",
        help="where to look, with all folders below: those of your outputs, or ComfyUI's output folder (default: here)",
    )
    parser.add_argument("--remove", action="store_true", default=False, help="delete what is found and not running")


def run(options: argparse.Namespace) -> Outcome:
    """List unfinished jobs, or remove them."""
    from ..core.jobs import find_jobs
    from ..core.journal import remove_job

    for folder in options.folders:
        if not folder.is_dir():
            raise SettingError(f"Expected a folder to look in, got {folder}; correct the path.")
    jobs = [job for folder in options.folders for job in find_jobs(folder)]
    if options.remove:
        for job in jobs:
            if not job.running:
                remove_job(job.folder)
    values = [{**asdict(job), "folder": str(job.folder), "removed": options.remove and not job.running} for job in jobs]
    lines = [_describe(job, options.remove) for job in jobs]
    return Outcome(values, "\n".join(lines) or "no unfinished jobs")


def _describe(job: "UnfinishedJob", remove: bool) -> str:
    from ..core.space import readable

    state = "running" if job.running else "removed" if remove else "stopped"
    changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.changed))
    done = f"{job.frames} frames in {job.segments} segments, {readable(job.size)}"
    return f"{state}  {changed}  {job.source} -> {job.output}  {done}\n         {job.folder}"
