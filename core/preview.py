"""A small picture of how a job gets on: the newest frame, beside the one it was made of."""

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 512
"""The longest side of a preview, in pixels; more is made smaller again on its way."""

_LINE = 2
"""Pixels between before and after."""

_HALF = 8 / 9
"""The widest that either of them is, as a share of its height: both together fill 16:9."""

_SAMPLES = 2
"""Pixels of a frame that are looked at for one of the preview, across and down: time does not grow with the frame."""


def preview(newest: Tensor, original: Tensor | None = None) -> Tensor:
    """The newest frame; with the original, the middle of both side by side: left before, right after.

    Args:
        newest: (3,H,W), about [0,1], on any device.
        original: (3,h,w), the same picture at any size.

    Returns:
        (H',W',3) uint8 on the CPU, no side longer than ``SIDE``.
    """
    height, width = newest.shape[-2:]
    if original is None:
        scale = min(SIDE / max(height, width), 1)
        return _bytes(_drawn(newest, (max(round(height * scale), 1), max(round(width * scale), 1))))
    share = min(width / height, _HALF)
    across = (SIDE - _LINE) // 2
    down = min(round(across / share), SIDE)
    across = max(min(across, round(down * share)), 1)
    part = share * height / width
    halves = [_drawn(_middle(image, part), (down, across)) for image in (original, newest)]
    return _bytes(torch.cat([halves[0], torch.ones(3, down, _LINE), halves[1]], dim=-1))


def _middle(image: Tensor, share: float) -> Tensor:
    """The middle columns: this share of the width."""
    width = image.shape[-1]
    kept = max(round(width * share), 1)
    left = (width - kept) // 2
    return image[..., left : left + kept]


def _drawn(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(3,H,W) -> (3,*size) on the CPU: thinned out, then averaged or enlarged smoothly."""
    steps = [max(side // (_SAMPLES * wanted), 1) for side, wanted in zip(image.shape[-2:], size, strict=True)]
    thin = image[None, :, :: steps[0], :: steps[1]].cpu().float()
    return functional.interpolate(thin, size, mode="bilinear", antialias=True)[0]


def _bytes(image: Tensor) -> Tensor:
    return image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)  # (3,H,W) -> (H,W,3)
