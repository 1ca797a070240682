"""Long clips of latents, sampled in overlapping windows that become one again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..overlaps import Curve
from ..stitch import stitch


@dataclass(frozen=True)
class Start:
    """Where a window starts.

    Attributes:
        frames: its place in the whole.
        latents: (T,C,h,w) or (B,C,T,h,w).
        noise: the same shape.
        mask: (T,1,H,W) or (1,1,H,W), 1 where something may change; None is everywhere.
    """

    frames: range
    latents: Tensor
    noise: Tensor
    mask: Tensor | None = None


def sample_windows(whole: Start, places: Sequence[range], curve: Curve, sample: Callable[[Start], Tensor]) -> Tensor:
    """Denoise each window by itself and stitch the results, see ``stitch``.

    Memory beside the whole and the result: a window and an overlap, and what ``sample`` needs.

    Args:
        whole: all frames.
        places: the windows.
        curve: how one fades into the next.
        sample: denoises a window; its result has the window's shape.

    Returns:
        The shape and type of the latents, on the CPU.

    Raises:
        SettingError, ShapeError: from ``stitch``.
    """
    axis = frame_axis(whole.latents)
    windows = (sample(_window(whole, place, axis)).movedim(axis, 0) for place in places)
    result = torch.empty_like(whole.latents, device="cpu")
    for number, frame in enumerate(stitch(windows, places, curve)):
        result.select(axis, number).copy_(frame)
    return result


def frame_axis(latents: Tensor) -> int:
    """The dimension of the frames: of (T,C,h,w) the first, of (B,C,T,h,w) the third."""
    return 2 if latents.ndim == 5 else 0


def _window(whole: Start, place: range, axis: int) -> Start:
    cut = [x.narrow(axis, place.start, len(place)) for x in (whole.latents, whole.noise)]
    mask = whole.mask
    if mask is not None and mask.shape[0] == whole.latents.shape[axis]:
        mask = mask[place.start : place.stop]
    return Start(place, cut[0], cut[1], mask)
