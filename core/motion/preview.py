"""Flow as colours, to look at."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .clip_motion import ClipMotion
from .config import PREVIEW_FRAMES, PREVIEW_SIDE
from .flow import Size, shrunk_size
from .source import StreamedMotion

_WINDOW = 8
_LONGEST = 0.99  # the share of vectors that the scale is made for: single wild ones would pale the rest

Report = Callable[[int, int | None, Tensor], None]
"""Takes the number of frames done so far, of all, and the newest one, (3,h,w)."""


def draw_flow(flow: Tensor, occluded: Tensor, longest: float) -> Tensor:
    """Direction as hue, length as strength: right is red, down yellow-green, left cyan, up violet; still is white.

    Args:
        flow: (B,2,h,w) in pixels.
        occluded: (B,1,h,w): 1 is black.
        longest: the length in pixels that has the full colour.

    Returns:
        (B,3,h,w) RGB in [0,1].
    """
    angle = torch.atan2(flow[:, 1], flow[:, 0])
    strength = (torch.linalg.vector_norm(flow, dim=1) / max(longest, 1e-6)).clamp(max=1)
    hues = [0.5 + 0.5 * torch.cos(angle - math.tau * channel / 3) for channel in range(3)]
    colors = torch.stack([1 - strength * (1 - hue) for hue in hues], dim=1)
    return colors * (1 - occluded)


def preview_flow(source: StreamedMotion, report: Report, frames: int = PREVIEW_FRAMES) -> Tensor:
    """Where the first frames of a video go: a picture for each but the last one, all on one scale.

    Args:
        source: the motion; its file is closed afterwards.
        report: called after every few frames; raises to cancel.
        frames: how many are looked at, at most.

    Returns:
        (N,3,h,w) RGB in [0,1], no side longer than ``PREVIEW_SIDE``; one white picture if there is a single frame.
    """
    size = shrunk_size(source.size, PREVIEW_SIDE)
    parts = []
    for part, until in _parts(source, frames, size):
        parts.append(part)
        newest = draw_flow(part.forward_flow[-1:], part.forward_occluded[-1:], _longest(part.forward_flow))
        report(until, min(frames, source.length), newest[0])
    source.close()
    if not parts:
        return torch.ones(1, 3, *size)
    flow = torch.cat([part.forward_flow for part in parts])
    return draw_flow(flow, torch.cat([part.forward_occluded for part in parts]), _longest(flow))


def _parts(source: StreamedMotion, frames: int, size: Size) -> Iterator[tuple[ClipMotion, int]]:
    """The motion of the first frames in parts that share a frame, and how many frames are done after each."""
    start = 0
    while start < frames - 1:
        asked = min(start + _WINDOW, frames)
        stop = source.reach(start, asked)
        if stop > start + 1:
            yield source.between(start, stop, size), stop
        if stop < asked:
            return
        start = stop - 1


def _longest(flow: Tensor) -> float:
    """The length that nearly all vectors stay below, in pixels; at least one."""
    lengths = torch.linalg.vector_norm(flow, dim=1).flatten()
    step = max(lengths.numel() // 1_000_000, 1)  # quantile takes no more than some millions
    return max(float(torch.quantile(lengths[::step], _LONGEST)), 1.0)
