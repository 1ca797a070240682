"""What the nodes that restore share: a restorer over whatever was connected."""

import torch
from comfy_api.latest import Input, io
from torch import Tensor

from ..core.config import SUFFIX
from ..core.job import Job, Source
from ..core.pipeline import restore_video
from ..core.restorer import Restorer
from .frames import restore_images
from .host.folders import job_place
from .host.passing import passing_path
from .host.progress import check_cancelled, progress_reporter, show_outcome
from .video_file import VideoFile, as_source

VIDEO_OR_IMAGES = io.Custom("VIDEO,IMAGE")
"""The socket of what comes out: the kind that came in."""


def restore(node: type[io.ComfyNode], video: Input.Video | Tensor, restorer: Restorer, job: Job) -> VideoFile | Tensor:
    """Restore a VIDEO into a temporary file, or an IMAGE batch (T,H,W,3), with the node's progress and cancel."""
    report = progress_reporter(node)
    if isinstance(video, torch.Tensor):
        return restore_images(video, restorer, job, report, check_cancelled)
    output = passing_path(SUFFIX[job.encode.codec])
    result = restore_video(as_source(video), restorer, output, job, report, check_cancelled, job_place())
    show_outcome(node, result)
    return VideoFile(Source(output))
