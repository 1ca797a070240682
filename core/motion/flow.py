"""Optical flow of a clip, both ways, on the grid of its latents."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.warp import resize_flow
from ..errors import ShapeError
from ..tiles import Check
from .clip_motion import ClipMotion
from .config import FLOW_PIXELS, MotionConfig
from .occlusion import occlusion

Size = tuple[int, int]
"""Height and width in pixels."""


class FlowNet(Protocol):
    """Finds where the pixels of a picture are in another one: SPyNet, RAFT, or any function that does."""

    def __call__(self, reference: Tensor, support: Tensor) -> Tensor:
        """Both are (B,3,H,W) RGB in [0,1]; the result is flow(reference -> support), (B,2,H,W), see ``ClipMotion``."""


@dataclass(frozen=True)
class Flow:
    """A network that is ready to run.

    Attributes:
        net: finds the flow.
        device: where its pictures must be.
    """

    net: FlowNet
    device: torch.device


GetFlow = Callable[[], Flow]
"""Called before every piece of work: whoever manages memory may have moved the network away in between."""


def shrunk_size(size: Size, side: int) -> Size:
    """The size with the same aspect, no side longer than ``side``; never larger."""
    share = min(1.0, side / max(size))
    return max(round(size[0] * share), 1), max(round(size[1] * share), 1)


def shrink(image: Tensor, side: int) -> Tensor:
    """A picture (3,H,W), made so much smaller that no side is longer than ``side`` pixels; never larger."""
    return resize(image, shrunk_size((image.shape[-2], image.shape[-1]), side))


def resize(images: Tensor, size: Size) -> Tensor:
    """Bring pictures (T,3,H,W) or (3,H,W) to a size; every pixel counts where they become smaller."""
    if images.shape[-2:] == size:
        return images
    batch = images if images.ndim == 4 else images[None]
    resized = F.interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized.view(*images.shape[:-2], *size)


def working_size(grid: Size, picture: Size, config: MotionConfig) -> Size:
    """The size at which motion is looked for: finer than the grid, no finer than the picture, within ``config.side``.

    It is the grid's size times a power of two, so that the flow comes down to the grid by averages of 2x2; only a grid
    that is itself larger than ``config.side`` is worked on at a size smaller than it.
    """
    finer, longest = config.finer, max(grid)
    while finer > 1 and (finer * longest > config.side or finer * longest > max(picture)):
        finer //= 2
    if longest <= config.side:
        return grid[0] * finer, grid[1] * finer
    share = config.side / longest
    return max(round(grid[0] * share), 1), max(round(grid[1] * share), 1)


def to_grid(flow: Tensor, grid: Size) -> Tensor:
    """Bring a flow (B,2,h,w) to a grid by halves, its vectors scaled along; see ``working_size``."""
    while flow.shape[-2] >= 2 * grid[0] and flow.shape[-1] >= 2 * grid[1]:
        flow = resize_flow(flow, (flow.shape[-2] // 2, flow.shape[-1] // 2))
    return flow if flow.shape[-2:] == grid else resize_flow(flow, grid)


def find_clip_motion(
    images: Sequence[Tensor] | Tensor, grid: Size, flow: Flow, config: MotionConfig, check: Check = lambda: None
) -> ClipMotion:
    """The motion of a clip without cuts.

    Memory beside the clip and the result: what the net needs for ``FLOW_PIXELS``.

    Args:
        images: T frames (3,H,W), RGB in [0,1], all of one size.
        grid: height and width of the result.
        flow: the network.
        config: how finely it looks; its cut threshold is not used.
        check: called before every chunk; raises to cancel.

    Returns:
        The motion of T frames on the grid, on the CPU, float32; its tensors may be saved for a gradient.

    Raises:
        ShapeError: there is no frame, or these are not RGB.
    """
    if len(images) < 1 or images[0].ndim != 3 or images[0].shape[0] != 3:
        raise ShapeError(f"Expected frames (3,H,W), one or more, got {[tuple(x.shape) for x in images]}.")
    with torch.inference_mode(False), torch.no_grad():
        size = working_size(grid, (images[0].shape[-2], images[0].shape[-1]), config)
        neighbours = list(itertools.pairwise(range(len(images))))
        pairs = neighbours + [(after, before) for before, after in neighbours]
        chunk = max(FLOW_PIXELS // (size[0] * size[1]), 1)
        found = [torch.zeros(0, 2, *grid)]
        for start in range(0, len(pairs), chunk):
            check()
            reference, support = (
                torch.stack([resize(images[i].to(flow.device, torch.float32), size) for i in side])
                for side in zip(*pairs[start : start + chunk], strict=True)
            )
            found.append(to_grid(flow.net(reference, support).float(), grid).cpu())
        both = torch.cat(found)
        forward, backward = both[: len(images) - 1], both[len(images) - 1 :]
        return ClipMotion(forward, backward, occlusion(forward, backward), occlusion(backward, forward))
