"""Steadiness over time: the warping error, and flicker where nothing moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.warp import resize_flow, warp
from ..errors import ShapeError
from .fidelity import luma

FindFlow = Callable[[Tensor, Tensor], Tensor]
"""The flow (1,2,H,W) onto one picture (1,3,H,W) from another, see ``flow.find_flow``; an SPyNet is one, too."""

_STILL, _LEAST_STILL = 2.0, 0.02
_AREA = 9
_MEDIAN_SIDE = 256


def warping_errors(clip: Tensor, reference: Tensor, find_flow: FindFlow) -> list[float]:
    """How much each frame differs from the one before, moved along the reference's flow (Lai et al., ECCV 2018).

    Args:
        clip: (T,3,H,W) in [0,1].
        reference: the true clip, the same shape; its flow and its own visibility decide where is measured.
        find_flow: finds the flow.

    Returns:
        T-1 mean squared errors over the pixels where the reference itself follows its flow within 2/255.
    """
    errors = []
    for i in range(1, clip.shape[0]):
        flow = find_flow(reference[i : i + 1], reference[i - 1 : i])
        moved = warp(reference[i - 1 : i], flow)
        visible = ((moved - reference[i : i + 1]).abs().mean(dim=1, keepdim=True) < 2 / 255).float()
        difference = (warp(clip[i - 1 : i], flow) - clip[i : i + 1]) ** 2
        errors.append(float((difference * visible).sum() / (3 * visible.sum()).clamp_min(1)))
    return errors


@dataclass(frozen=True)
class Motion:
    """How a frame follows from the one before it.

    Attributes:
        flow: (1,2,H,W), onto the frame, see ``warp``.
        visible: (1,1,H,W), 1 where the frame before shows the same, else 0.
    """

    flow: Tensor
    visible: Tensor


@torch.no_grad()
def find_motion(reference: Tensor, find_flow: FindFlow) -> list[Motion]:
    """The T-1 motions of a clip (T,3,H,W) in [0,1].

    A pixel is visible where the flow there and back ends within .5 + .01 (|there|^2 + |back|^2) square pixels of where
    it began (Sundaram et al., ECCV 2010) and inside the picture.
    """
    pairs = zip(reference[:-1, None], reference[1:, None], strict=True)
    return [_motion(after, find_flow(after, before), find_flow(before, after)) for before, after in pairs]


@torch.no_grad()
def find_motion_small(before: Tensor, after: Tensor, find_flow: FindFlow, side: int) -> Motion:
    """``find_motion`` of two frames (1,3,H,W), with the flow found at no more than ``side`` pixels a side."""
    height, width = after.shape[-2:]
    share = min(1.0, side / max(height, width))
    if share == 1.0:
        return _motion(after, find_flow(after, before), find_flow(before, after))
    small = (max(round(height * share), 1), max(round(width * share), 1))
    a, b = (F.interpolate(x, size=small, mode="area") for x in (before, after))
    there, back = (resize_flow(flow, (height, width)) for flow in (find_flow(b, a), find_flow(a, b)))
    return _motion(after, there, back)


def _motion(after: Tensor, there: Tensor, back: Tensor) -> Motion:
    back = warp(back, there, padding="border")
    length = (there**2).sum(dim=1, keepdim=True) + (back**2).sum(dim=1, keepdim=True)
    returns = ((there + back) ** 2).sum(dim=1, keepdim=True) <= 0.01 * length + 0.5
    inside = warp(torch.ones_like(after[:, :1]), there) > 0.999
    return Motion(there, (returns & inside).float())


def warping_error(clip: Tensor, motions: Sequence[Motion]) -> float:
    """Mean squared difference of each frame and the one before it, moved along the true motion (Lai et al., ECCV 2018).

    Unlike ``warping_errors`` it counts every pixel that is visible in both frames, wherever the reference itself
    changes there or not.

    Args:
        clip: (T,3,H,W) in [0,1], at least 2 frames.
        motions: of the reference, T-1.

    Returns:
        The mean over the visible pixels of a frame, then over the frames.

    Raises:
        ShapeError: the numbers of frames do not fit.
    """
    if len(motions) != clip.shape[0] - 1 or not motions:
        raise ShapeError(f"Expected a clip of {len(motions) + 1} frames, two or more, got {clip.shape[0]}.")
    errors = []
    for before, after, motion in zip(clip[:-1, None], clip[1:, None], motions, strict=True):
        difference = ((warp(before, motion.flow) - after) ** 2).mean(dim=1, keepdim=True)
        errors.append(float((difference * motion.visible).sum() / motion.visible.sum().clamp_min(1)))
    return sum(errors) / len(errors)


def flicker(before: Tensor, middle: Tensor, after: Tensor) -> float:
    """How far the luma of the middle frame is from the mean of its neighbours' where nothing moves, in levels of 255.

    It is half the absolute second difference over time: slow changes of light cost nothing, a frame that is brighter,
    shimmering detail and boiling noise do. Still is what the mean over 9x9 pixels tells: there the frames before and
    after differ by less than 2 levels, once the median change of the whole picture is taken off.

    Args:
        before: (3,H,W) RGB in [0,1], at least 9x9.
        middle: the next frame.
        after: the one after it.

    Returns:
        0 for a still picture, about 1 for the noise of a good camera; NaN if less than a fiftieth of it is still.
    """
    first, now, last = (luma(x.float()) * 255 for x in (before, middle, after))
    change = last - first
    step = max(min(change.shape) // _MEDIAN_SIDE, 1)
    change = change - change[::step, ::step].median()
    area = F.avg_pool2d(change[None, None], _AREA, stride=1, padding=_AREA // 2, count_include_pad=False)[0, 0]
    still = area.abs() < _STILL
    if float(still.float().mean()) < _LEAST_STILL:
        return float("nan")
    return float((now - (first + last) / 2).abs()[still].mean())
