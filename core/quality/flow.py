"""Optical flow without a network: what the warping error follows.

Lucas and Kanade (IJCAI 1981), dense, iterated over a pyramid (Bouguet, 2001), with an unknown change of brightness in
every window, so that flicker is not taken for motion.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.warp import resize_flow, warp
from .fidelity import luma

_LEAST_SIDE = 12  # of the smallest picture of the pyramid
_LEVELS = 6
_STEPS = 4  # at every level
_WINDOW = 13
_NOISE = 2.0  # squared levels of 255 a pixel of gradient: where there is less texture, motion stays as it was
_LONGEST_STEP = 1.0


@torch.no_grad()
def find_flow(after: Tensor, before: Tensor) -> Tensor:
    """The flow onto one picture from another, for ``warp``: ``after`` at p is ``before`` at p + flow(p).

    Args:
        after: (1,3,H,W) RGB in [0,1].
        before: the same shape.

    Returns:
        (1,2,H,W) in pixels, x (right) and y (down). Where nothing can be followed it is what the surroundings say.
        Peak memory: about 200 bytes a pixel.
    """
    pictures = [torch.cat([luma(x[0].float())[None, None] * 255 for x in (after, before)])]
    while len(pictures) < _LEVELS and min(pictures[-1].shape[-2:]) >= 2 * _LEAST_SIDE:
        pictures.append(F.avg_pool2d(pictures[-1], 2, ceil_mode=True, count_include_pad=False))
    flow = torch.zeros_like(pictures[-1][:1]).expand(1, 2, -1, -1)
    for pair in reversed(pictures):
        flow = resize_flow(flow, (pair.shape[-2], pair.shape[-1]))
        for _ in range(_STEPS):
            flow = _improved(flow, pair[:1], pair[1:])
    return flow


def _improved(flow: Tensor, after: Tensor, before: Tensor) -> Tensor:
    """One step of least squares in the window around each pixel, then each vector the mean of the sure ones near it."""
    moved = warp(before, flow, padding="border")
    x, y = _gradients((after + moved) / 2)
    change = moved - after
    means = _windowed(torch.cat([x, y, change, x * x, x * y, y * y, x * change, y * change], dim=1))
    mx, my, mc, xx, xy, yy, xc, yc = means.split(1, dim=1)
    # Products about the windows' means: the brightness of a window may change as a whole.
    xx, xy, yy = xx - mx * mx + _NOISE, xy - mx * my, yy - my * my + _NOISE
    xc, yc = xc - mx * mc, yc - my * mc
    determinant = xx * yy - xy * xy
    step = torch.cat([xy * yc - yy * xc, xy * xc - xx * yc], dim=1) / determinant
    flow = flow + step.clamp(-_LONGEST_STEP, _LONGEST_STEP)
    sure = determinant / (xx + yy)  # about the smaller eigenvalue: how much texture there is across every direction
    weighted = _windowed(torch.cat([flow * sure, sure], dim=1))
    return weighted[:, :2] / weighted[:, 2:]


def _gradients(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences, x and y."""
    wide = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    return (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2


def _windowed(values: Tensor) -> Tensor:
    half = _WINDOW // 2
    rows = F.avg_pool2d(values, (1, _WINDOW), stride=1, padding=(0, half), count_include_pad=False)
    return F.avg_pool2d(rows, (_WINDOW, 1), stride=1, padding=(half, 0), count_include_pad=False)
