"""The pieces of work that a shot of TextOVSR is made of: what they compute, on which tiles, how many frames at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.text_ovsr import MIN_SIDE, ResidualBlocks, TextOVSR
from ...models.text_ovsr_config import TextOVSRConfig
from ...models.warp import warp
from ..config import SCALE
from ..tiles import Check, Tiles, apply_tiled
from .text_ovsr_fast import Fast

_RECONSTRUCT_HALO = 2
"""LR pixels: 1 + 1/2 + 1/4 + 1/4 of the four 3x3 convolutions; the bilinear base beside them reads 1."""


@dataclass
class Prepared:
    """What is known of a frame: cleaned (1,3,H,W), features (1,C,H,W), flows (1,2,H,W) between it and the next.

    Features are in the network's precision, all else is in single.
    """

    cleaned: Tensor
    features: Tensor
    backward_flow: Tensor | None = None
    forward_flow: Tensor | None = None


@dataclass(frozen=True)
class How:
    """How a network is run.

    Attributes:
        dtype: what it computes in.
        tiles: sides of the tiles of reconstruction and of other convolutions; 0 is the whole frame.
        batches: how many of either are computed at once.
        fast: how functions are called.
    """

    dtype: torch.dtype
    tiles: tuple[int, ...]
    batches: tuple[int, ...]
    fast: Fast

    @property
    def together(self) -> int:
        """Frames that are prepared at once, where they are not cut.

        It is always so many, so that a frame does not depend on how many come with it: where there are fewer, the last
        one fills up.
        """
        return 1 if self.tiles[1] else self.batches[1]


def halos(config: TextOVSRConfig) -> tuple[int, int]:
    """Pixels read around a tile of the reconstruction, and of the widest of the other convolutions."""
    return _RECONSTRUCT_HALO, 2 * max(config.cleaning_blocks + 1, config.blocks) + 1


class Work:
    """The network's steps on whole frames. Every ``check`` is called between pieces of work; it raises to cancel.

    Args:
        network: in eval mode.
        how: tiles, precision, frames at once.
    """

    def __init__(self, network: TextOVSR, how: How) -> None:
        self._net, self._how = network, how

    def prepare(
        self, images: Tensor, text: Tensor, previous: Prepared | None, passes: int, check: Check
    ) -> list[Prepared]:
        """Clean frames, extract their features, and find the flows between each and the one before.

        Args:
            images: (B,3,H,W), of at most as many frames as are prepared at once.
            text: (B,77,C), their projected prompts.
            previous: the frame before them, which is given its flows.
            passes: how often to clean.
            check: see above.
        """
        count = len(images)
        images, text = _filled(images, self._how.together), _filled(text, self._how.together)
        before = () if previous is None else (previous.cleaned,)
        function = partial(self._prepare, passes, self._checking(check))
        cleaned, features, *flows = self._run(("prepare", passes), function, check, images, text, *before)
        frames = [Prepared(cleaned[i : i + 1], features[i : i + 1]) for i in range(count)]
        for i, frame in enumerate(frames if previous is None else [previous, *frames]):
            if i < count - (previous is None):
                frame.backward_flow, frame.forward_flow = (flow[i : i + 1] for flow in flows)
        return frames

    def clean(self, image: Tensor, passes: int, check: Check) -> Tensor:
        """Remove noise and compression, (B,3,H,W) -> (B,3,H,W)."""
        halo = 2 * self._net.config.cleaning_blocks + 2
        for _ in range(passes):
            given = image.to(self._how.dtype)
            image = image + apply_tiled(self._net.image_cleaning, given, self._features(halo), check)
        return image

    def step(self, backward: bool, frame: Prepared, state: Tensor | None, flow: Tensor | None, check: Check) -> Tensor:
        """One step of the recurrence (see ``models.text_ovsr.propagate``), its convolutions tile by tile."""
        name = f"{'backward' if backward else 'forward'}_resblocks_layer10_po"
        carried = () if state is None or flow is None else (state, flow)
        function = partial(self._step, getattr(self._net.basicvsr, name), self._checking(check))
        return self._run(name, function, check, frame.features, *carried)[0]

    def reconstruct(self, backward: Tensor, state: Tensor, cleaned: Tensor, check: Check) -> Tensor:
        """Both directions' features and the cleaned frame -> (1,3,4H,4W); half precision holds a picture well."""
        function = partial(self._reconstruct, self._checking(check))
        return self._run("reconstruct", function, check, backward, state, cleaned)[0]

    def _run(
        self, name: object, function: partial[tuple[Tensor, ...]], check: Check, *given: Tensor
    ) -> Sequence[Tensor]:
        check()
        return self._how.fast.run((name, self._how.tiles, self._how.batches), function, *given)

    def _features(self, halo: int) -> Tiles:
        return Tiles(self._how.tiles[1], halo, self._how.batches[1])

    def _checking(self, check: Check) -> Check:
        """Functions that are compiled or recorded are one piece of work."""
        return _unchecked if self._how.fast.active else check

    def _prepare(
        self, passes: int, check: Check, images: Tensor, text: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        cleaned = self.clean(images, passes, check)
        check()
        features = self._net.extract(cleaned.to(self._how.dtype), text)
        later = cleaned if before is not None else cleaned[1:]
        if not len(later):
            return cleaned, features
        check()
        earlier = cleaned[:-1] if before is None else torch.cat([before, cleaned[:-1]])
        if len(later) == 1:
            return cleaned, features, self._net.flow(earlier, later), self._net.flow(later, earlier)
        flows = self._net.flow(torch.cat([earlier, later]), torch.cat([later, earlier]))
        return cleaned, features, *flows.chunk(2)

    def _step(
        self,
        blocks: ResidualBlocks,
        check: Check,
        features: Tensor,
        state: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        if state is None or flow is None:
            warped = torch.zeros_like(features)
        else:  # sampling loses the layout that the convolutions want
            warped = warp(state, flow).contiguous(memory_format=torch.channels_last)

        def compute(*tile: Tensor) -> Tensor:
            return blocks(torch.cat(tile, dim=1))

        halo = 2 * self._net.config.blocks + 1
        return (apply_tiled(compute, (features, warped), self._features(halo), check),)

    def _reconstruct(self, check: Check, *given: Tensor) -> tuple[Tensor, ...]:
        half = self._how.dtype != torch.float32

        def compute(*tile: Tensor) -> Tensor:
            result = self._net.reconstruct(*tile)
            return result.half() if half else result

        tiles = Tiles(self._how.tiles[0], _RECONSTRUCT_HALO, self._how.batches[0], SCALE)
        return (apply_tiled(compute, given, tiles, check),)


def padded(image: Tensor) -> Tensor:
    """Repeat the border of (1,3,H,W) to the right and below until the network's smallest size is reached."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, max(MIN_SIDE - width, 0), 0, max(MIN_SIDE - height, 0)), mode="replicate")


def _filled(x: Tensor, count: int) -> Tensor:
    """Repeat the last of (B,...) until there are ``count``."""
    if len(x) >= count:
        return x
    return torch.cat([x, x[-1:].expand(count - len(x), *x.shape[1:])])


def _unchecked() -> None:
    """Check nothing."""
