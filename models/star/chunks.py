"""What goes through a layer at once. Nothing in the result hangs on it: only memory and speed do."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

_ROWS = 1 << 15
"""Places that attend along time at once, at most: kernels take no more than 65535."""


@dataclass(frozen=True)
class Chunks:
    """How many numbers of a layer's input, places times channels, go through it at once.

    Layers inside frames take whole frames, at least one; layers along time take places of all frames, at least one. 0
    is all of them.

    Attributes:
        spatial: convolutions and attention inside frames, and convolutions along time, which look one frame beyond.
        temporal: attention along time.
    """

    spatial: int = 1 << 25
    temporal: int = 1 << 25

    def frames(self, x: Tensor, channels: int = 0) -> Iterator[slice]:
        """The frames of (F,C,h,w), some at a time; ``channels`` if the layer's input has others."""
        numbers = (channels or x.shape[1]) * x.shape[2] * x.shape[3]
        return _slices(x.shape[0], self.spatial // numbers if self.spatial else x.shape[0])

    def places(self, x: Tensor) -> Iterator[slice]:
        """The places h*w of (F,C,h,w), some at a time."""
        places = x.shape[2] * x.shape[3]
        at_once = self.temporal // (x.shape[0] * x.shape[1]) if self.temporal else places
        return _slices(places, min(at_once, _ROWS))


WHOLE = Chunks(0, 0)
"""Everything at once."""


def _slices(total: int, at_once: int) -> Iterator[slice]:
    for start in range(0, total, max(at_once, 1)):
        yield slice(start, min(start + max(at_once, 1), total))
