"""Training losses (``specs`` of TextOVSR, section 4). Clips are (B,T,3,H,W) in [0,1]; every loss is a mean."""

import torch
import torch.nn.functional as F
from torch import Tensor

_UNSHARP_KERNEL = 51
_UNSHARP_THRESHOLD = 10 / 255


def charbonnier(x: Tensor, y: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt((x-y)^2 + epsilon^2): L1 with a smooth centre."""
    return torch.sqrt((x - y) ** 2 + epsilon**2).mean()


def cleaning_loss(cleaned: Tensor, hr: Tensor) -> Tensor:
    """L1 between the cleaned LR frames (B,T,3,H,W) and the area-reduced ground truth (B,T,3,4H,4W)."""
    target = F.interpolate(hr.flatten(0, 1), size=cleaned.shape[-2:], mode="area")
    return (cleaned.flatten(0, 1) - target).abs().mean()


def edge_loss(x: Tensor, y: Tensor, scales: int = 3) -> Tensor:
    """L1 between the differences of neighbouring pixels, across and down, at full, half and quarter size.

    It sees edges and texture at every scale and no colour, and needs no trained backbone.
    """
    x, y = x.flatten(0, 1), y.flatten(0, 1)
    total = x.new_zeros(())
    for scale in range(scales):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        for dim in (-1, -2):
            total = total + (x.diff(dim=dim) - y.diff(dim=dim)).abs().mean()
    return total / scales


def temporal_loss(x: Tensor, y: Tensor) -> Tensor:
    """L1 between the changes from frame to frame; 0 for a single frame."""
    if x.shape[1] < 2:
        return x.new_zeros(())
    return (x.diff(dim=1) - y.diff(dim=1)).abs().mean()


def sharpened(hr: Tensor, strength: float) -> Tensor:
    """Unsharp masking where the detail is above 10 of 255: Gaussian of 51 pixels, the mask itself softened.

    Args:
        hr: (B,T,3,H,W), the sides at least 26.
        strength: 0 leaves everything as it is.
    """
    if not strength:
        return hr
    frames = hr.flatten(0, 1)
    detail = frames - _gaussian(frames)
    soft = _gaussian((detail.abs() > _UNSHARP_THRESHOLD).to(frames))
    sharp = (frames + strength * detail).clamp(0, 1)
    return torch.lerp(frames, sharp, soft).unflatten(0, hr.shape[:2])


def adversarial_loss(logits: Tensor, real: bool) -> Tensor:
    """Vanilla GAN: cross-entropy of the verdicts against "real" or "made"."""
    target = torch.ones_like(logits) if real else torch.zeros_like(logits)
    return F.binary_cross_entropy_with_logits(logits, target)


def matching_loss(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """L1 between the discriminator's features of the result and of the truth, each level by its own size."""
    levels = [(x - y.detach()).abs().mean() / (y.detach().abs().mean() + 1e-6) for x, y in zip(made, true, strict=True)]
    return torch.stack(levels).mean()


def _gaussian(x: Tensor) -> Tensor:
    """Blur (N,C,H,W) as wide as OpenCV does with a kernel of 51 whose sigma is left to it: 8 pixels."""
    half = _UNSHARP_KERNEL // 2
    sigma = 0.3 * (half - 1) + 0.8
    line = torch.exp(-0.5 * (torch.arange(-half, half + 1, device=x.device, dtype=x.dtype) / sigma) ** 2)
    line = (line / line.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (half, half, 0, 0), mode="reflect"), line, groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, half, half), mode="reflect"), line.transpose(-1, -2), groups=x.shape[1])
