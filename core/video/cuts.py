"""Cuts, found while streaming."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

Item = TypeVar("Item")
CONTEXT = 1
DELAY = 0


def mark_cuts(
    frames: Iterable[Item], image: Callable[[Item], Tensor], threshold: float
) -> Iterator[tuple[Item, bool]]:
    """Yield every item with whether a shot begins at it."""
    before: Tensor | None = None
    for item in frames:
        small = F.adaptive_avg_pool2d(image(item)[None], (36, 64))
        cut = before is not None and float((small - before).abs().mean()) > threshold
        before = small
        yield item, cut
