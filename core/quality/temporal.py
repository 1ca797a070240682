"""Steadiness over time: the warping error."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.spynet import SPyNet
from ...models.warp import warp
from ..errors import ShapeError


def warping_errors(clip: Tensor, reference: Tensor, flow_net: SPyNet) -> list[float]:
    """How much each frame differs from the one before, moved along the reference's flow (Lai et al., ECCV 2018).

    Args:
        clip: (T,3,H,W) in [0,1].
        reference: the true clip, the same shape; its flow and its own visibility decide where is measured.
        flow_net: finds the flow.

    Returns:
        T-1 mean squared errors over the pixels where the reference itself follows its flow within 2/255.
    """
    errors = []
    for i in range(1, clip.shape[0]):
        flow = flow_net(reference[i : i + 1], reference[i - 1 : i])
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
def find_motion(reference: Tensor, flow_net: SPyNet) -> list[Motion]:
    """The T-1 motions of a clip (T,3,H,W) in [0,1].

    A pixel is visible where the flow there and back ends within .5 + .01 (|there|^2 + |back|^2) square pixels of where
    it began (Sundaram et al., ECCV 2010) and inside the picture.
    """
    motions = []
    for before, after in zip(reference[:-1, None], reference[1:, None], strict=True):
        there = flow_net(after, before)
        back = warp(flow_net(before, after), there, padding="border")
        length = (there**2).sum(dim=1, keepdim=True) + (back**2).sum(dim=1, keepdim=True)
        returns = ((there + back) ** 2).sum(dim=1, keepdim=True) <= 0.01 * length + 0.5
        inside = warp(torch.ones_like(length), there) > 0.999
        motions.append(Motion(there, (returns & inside).float()))
    return motions


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
