"""Training losses (``specs`` of TextOVSR, section 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def charbonnier(x: Tensor, y: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt((x-y)^2 + epsilon^2): L1 with a smooth centre."""
    return torch.sqrt((x - y) ** 2 + epsilon**2).mean()


def cleaning_loss(cleaned: Tensor, hr: Tensor) -> Tensor:
    """L1 between the cleaned LR frames (B,T,3,H,W) and the area-reduced ground truth (B,T,3,4H,4W)."""
    target = F.interpolate(hr.flatten(0, 1), size=cleaned.shape[-2:], mode="area")
    return (cleaned.flatten(0, 1) - target).abs().mean()
