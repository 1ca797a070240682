"""SDATC's distortion control module as a restorer of its own: it takes back compression, each frame for itself."""

import math
from collections.abc import Iterator, Mapping
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.sdatc.dcm import Dcm, DcmConfig, fill_up
from ..config import SCALE, SMALLEST_TILE, RecurrentConfig
from ..restorer import PromptedFrame
from ..tiles import Check, Tiles, apply_tiled
from ..windows import Window, WindowPlan
from .fingerprint import fingerprint

CONTEXT = 2
"""Windows of the network that a tile sees around it: what lies farther away counts for less than one level in 255."""

_FRAMES = 4  # between two points from which an interrupted run goes on
_LARGEST_TILE = 256


class DcmRestorer:
    """Restores frame by frame through a ``Dcm``; prompts say nothing to it.

    Args:
        network: in eval mode, on ``device``.
        config: of which ``window`` and ``tile`` count; zeros are chosen.
        device: where the network is.
        memory: bytes that may be used beside the weights.
        dtype: what it computes in; float32 on a CPU.
    """

    scale = SCALE

    def __init__(
        self,
        network: Dcm,
        config: RecurrentConfig,
        device: torch.device,
        memory: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network = network.to(device, dtype)
        self.config, self.device, self.dtype, self.memory = config, device, dtype, memory

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``."""
        return f"DCM {fingerprint(self.network)} {self.device.type} {self.dtype}"

    def plan(self, height: int, width: int) -> WindowPlan:
        """A few frames a window, and the largest tile that the memory holds."""
        pixels = self.memory // (_floats(self.network.config) * self.dtype.itemsize)
        context = CONTEXT * self.network.config.window
        best = min(max(math.isqrt(pixels) - 2 * context, SMALLEST_TILE), _LARGEST_TILE)
        tile = self.config.tile or best
        return WindowPlan(self.config.window or _FRAMES, 0, (0 if tile >= max(height, width) else tile,))

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "DcmShot":
        """Start a shot; the plan's only tile is that of the whole network."""
        return DcmShot(self, plan.tiles[0])


class DcmShot:
    """One shot; no frame knows of another."""

    def __init__(self, restorer: DcmRestorer, tile: int) -> None:
        self._restorer, self._tile = restorer, tile

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """See ``Shot.restore``. Peak memory: a tile's, and one frame's result."""
        for item in window.items[: window.kept]:
            yield self._upscale(item.image[None], check)[0].float().cpu()

    def state(self) -> Mapping[str, Tensor]:
        """See ``Shot.state``: nothing is carried."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""

    def _upscale(self, frame: Tensor, check: Check) -> Tensor:
        """(1,3,h,w) -> (1,3,4h,4w); tiles are of whole windows, so that all cut the frame where one pass would."""
        network, (h, w) = self._restorer.network, frame.shape[-2:]
        side = network.config.window
        filled = fill_up(frame.to(self._restorer.device, self._restorer.dtype), side)

        def upscale(windows: Tensor) -> Tensor:
            return network(F.pixel_shuffle(windows, side))

        tiles = Tiles(-(-self._tile // side), CONTEXT, scale=SCALE * side)
        result = apply_tiled(upscale, F.pixel_unshuffle(filled, side), tiles, check)
        return result[..., : SCALE * h, : SCALE * w]


def _floats(config: DcmConfig) -> int:
    """An estimate of how many numbers are alive at once for each pixel of the input."""
    attention = 3 * config.window**2 * config.heads + 8 * config.channels
    enlarging = 4 * 48 if config.upsampler == "direct" else 3 * 64 * SCALE**2
    return max(attention, enlarging + 2 * config.channels)
