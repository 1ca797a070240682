"""Between ComfyUI's IMAGE batches (B,H,W,C) and the core's frames (C,H,W)."""

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..core.config import EncodeConfig
from ..core.job import Job, Progress, Report
from ..core.pipeline import restore_frames
from ..core.restorer import Restorer
from ..core.tiles import Check
from ..core.video.color import BT709, ColorTags
from ..core.video.encoders import VideoSpec
from ..core.video.writer import VideoWriter

_FRAME_SECONDS = 1 / 25
"""An IMAGE batch has no clock; timed texts read it at 25 frames a second."""

_NTSC = Fraction(1000, 1001)
_FPS_ERROR = 0.001


def restore_images(images: Tensor, restorer: Restorer, job: Job, report: Report, check: Check) -> Tensor:
    """Restore a batch of frames of one shot, (B,H,W,C) -> (B,H',W',C); C is 3, alpha is dropped."""
    began = time.monotonic()
    count = images.shape[0]
    results = []
    for image in restore_frames(_timed(images), restorer, job, check):
        original = images[len(results), ..., :3].permute(2, 0, 1)  # (H,W,C) -> (C,H,W)
        results.append(image.permute(1, 2, 0).float().cpu())  # (C,H,W) -> (H,W,C)
        report(Progress(len(results), count, time.monotonic() - began, image, original=original))
    return torch.stack(results)


def write_frames(images: Tensor, rate: Fraction, path: Path) -> None:
    """Write a batch (B,H,W,C) as a video without loss (FFV1; 10 bit, so that rounding stays below 8-bit steps)."""
    size = {"width": images.shape[2], "height": images.shape[1]}
    rgb = ColorTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=True)
    spec = VideoSpec(
        **size, time_base=1 / rate, frame_rate=rate, sample_aspect_ratio=Fraction(1), color=rgb, bit_depth=10
    )
    with VideoWriter(path, spec, EncodeConfig(codec="ffv1")) as writer:
        for index, image in enumerate(images):
            writer.write(image[..., :3].permute(2, 0, 1), index, 1)  # (H,W,C) -> (C,H,W)


def exact_rate(fps: float) -> Fraction:
    """The exact rate behind its decimals: 23.976 and 29.97 mean 24000/1001 and 30000/1001."""
    ntsc = round(fps / _NTSC) * _NTSC
    if fps != round(fps) and abs(ntsc - fps) < _FPS_ERROR:
        return ntsc
    return Fraction(fps).limit_denominator(1000)


def _timed(images: Tensor) -> Iterator[tuple[Tensor, float]]:
    for index, image in enumerate(images):
        yield image[..., :3].permute(2, 0, 1), index * _FRAME_SECONDS  # (H,W,C) -> (C,H,W)
