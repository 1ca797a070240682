"""SPyNet: optical flow by a spatial pyramid (Ranjan and Black, CVPR 2017), as BasicVSR uses it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .narrow import NarrowConv2d
from .warp import resize_flow, warp

FULL_LEVELS = 6
"""A net with this many levels ends at the full resolution; each level fewer halves the resolution it ends at."""

_STRIDE = 2 ** (FULL_LEVELS - 1)


class _ConvReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, relu: bool) -> None:
        super().__init__()
        kind = nn.Conv2d if relu else NarrowConv2d  # only the flow's correction, 2 channels, goes without ReLU
        self.conv = kind(inputs, outputs, 7, padding=3)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu_(x) if self.relu else x


class _Level(nn.Module):
    """Refines the flow at one scale; in: reference, warped support, flow (8 channels); out: the correction (2)."""

    def __init__(self) -> None:
        super().__init__()
        widths = [8, 32, 64, 32, 16, 2]
        self.basic_module = nn.Sequential(
            *(_ConvReLU(widths[i], widths[i + 1], relu=i < 4) for i in range(len(widths) - 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.basic_module(x)


class SPyNet(nn.Module):
    """Optical flow between two frames.

    Args:
        levels: 6 is the published net. With 5 the finest level is left out: a quarter of the cost, and the flow is
            found at half the resolution and resized.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, levels: int = FULL_LEVELS) -> None:
        super().__init__()
        self.basic_module = nn.ModuleList(_Level() for _ in range(levels))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, reference: Tensor, support: Tensor) -> Tensor:
        """Flow that warps ``support`` onto ``reference``.

        Only the convolutions compute in the precision of the weights: half precision cannot say where in a wide frame
        to look, and the levels' corrections are small against the flow that they are added to.

        Args:
            reference: (B,3,H,W) RGB in [0,1].
            support: the same shape.

        Returns:
            (B,2,H,W), x then y, in pixels, at least float32; see ``warp`` for the convention.
        """
        height, width = reference.shape[-2:]
        size = (-(-height // _STRIDE) * _STRIDE, -(-width // _STRIDE) * _STRIDE)
        dtype = torch.promote_types(reference.dtype, torch.float32)
        reference, support = reference.to(dtype), support.to(dtype)
        flow = self._pyramid_flow(self._pyramid(reference, size), self._pyramid(support, size))
        return resize_flow(flow, (height, width))

    def _pyramid(self, x: Tensor, size: tuple[int, int]) -> list[Tensor]:
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        x = (x - self.mean) / self.std
        scales = [x]
        for _ in range(FULL_LEVELS - 1):
            scales.append(F.avg_pool2d(scales[-1], 2))
        return scales[::-1]

    def _pyramid_flow(self, reference: list[Tensor], support: list[Tensor]) -> Tensor:
        weights = next(self.parameters()).dtype
        flow = reference[0].new_zeros(reference[0].shape[0], 2, *reference[0].shape[-2:])
        for level, module in enumerate(self.basic_module):
            if level > 0:
                flow = 2.0 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            warped = warp(support[level], flow, padding="border")
            flow = flow + module(torch.cat([reference[level], warped, flow], dim=1).to(weights)).to(flow.dtype)
        return flow
