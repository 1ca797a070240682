"""Clips whose motion is known, and networks that know it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.motion.flow import Flow


def texture(height: int, width: int, cell: int = 8, seed: int = 0) -> Tensor:
    """A smooth colourful picture, (3,H,W)."""
    coarse = torch.rand(1, 3, height // cell + 2, width // cell + 2, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0].clamp(0, 1)


def panning(frames: int, x: int, y: int, size: tuple[int, int] = (96, 128), seed: int = 0) -> Tensor:
    """What shows in it moves by (x, y) pixels a frame, right and down: (T,3,H,W)."""
    height, width = size
    far_x, far_y = abs(x) * (frames - 1), abs(y) * (frames - 1)
    whole = texture(height + far_y, width + far_x, seed=seed)
    lefts = [far_x * (x > 0) - x * t for t in range(frames)]
    tops = [far_y * (y > 0) - y * t for t in range(frames)]
    return torch.stack(
        [whole[:, top : top + height, left : left + width] for left, top in zip(lefts, tops, strict=True)]
    )


class Numbered:
    """A flow net for pictures whose brightness is their number: says how many frames there are from one to the other.

    ``flow`` at a picture of width w is (w / 100 * number, -number), so that a part of a hundredth of the width and a
    constant number of pixels can be told apart.
    """

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def __call__(self, reference: Tensor, support: Tensor) -> Tensor:
        self.sizes.append(tuple(reference.shape))
        number = ((support - reference)[:, :1] * 100).round()
        return torch.cat([number * reference.shape[-1] / 100, -number], dim=1)


def numbered(frames: int, size: tuple[int, int] = (32, 48)) -> Tensor:
    """Frames that are as bright as their number is high, (T,3,H,W)."""
    return (torch.arange(frames) / 100).view(-1, 1, 1, 1).expand(-1, 3, *size)


def ready(net: object) -> Flow:
    """A net on the CPU."""
    return Flow(net, torch.device("cpu"))  # type: ignore[arg-type]
