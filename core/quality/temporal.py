"""Steadiness over time: the warping error."""

from torch import Tensor

from ...models.spynet import SPyNet
from ...models.warp import warp


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
