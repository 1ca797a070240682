"""TextOVSR as a streaming restorer.

The forward state is carried exactly from window to window. The backward pass starts ``look_ahead`` frames after the
window; what it needs of those frames (cleaned frame, features, flow) is kept for the next window, so that each is
computed once. Where the next window starts, its backward features are faded in over those of the window before, so
that no border can be seen.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.text_ovsr import MAX_CLEANING_PASSES, MIN_SIDE, TextOVSR
from ...models.warp import warp
from ..config import SCALE, TILE, RecurrentConfig
from ..restorer import PromptedFrame
from ..text.encode import tokenize
from ..tiles import Check, apply_tiled
from ..windows import Window, WindowPlan
from .memory import plan_memory

_RECONSTRUCT_HALO = 4
"""LR pixels: 1 + 1/2 + 1/4 + 1/4 of the four 3x3 convolutions, 1 of the bilinear base, rounded up."""


class TextOVSRRestorer:
    """Streams clips through a ``TextOVSR`` network.

    Args:
        network: in eval mode, on ``device``.
        config: windows, tiles and cleaning; zeros are chosen by ``memory``.
        device: where the network is.
        dtype: what it computes in; float32 on a CPU.
        memory: bytes that may be used beside the weights.
    """

    scale = SCALE

    def __init__(
        self,
        network: TextOVSR,
        config: RecurrentConfig,
        device: torch.device,
        memory: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network = network.to(device, dtype)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.config = config
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self._texts: dict[str, Tensor] = {}

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``: a hash of the weights, and the settings that change the picture."""
        digest = hashlib.sha256()
        for name, value in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        settings = replace(self.config, window=0, tile=0)
        return f"{digest.hexdigest()} {settings} {self.device.type} {self.dtype}"

    def plan(self, height: int, width: int) -> WindowPlan:
        """Windows and tiles: as configured, or what is quickest and fits the memory."""
        best_tile = TILE.get(self.device.type, TILE["cpu"])
        return plan_memory(self.network.config.channels, (height, width), self.memory, self.config, best_tile)

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "TextOVSRShot":
        """Start a shot; the plan's tiles are those of ``plan_memory``."""
        return TextOVSRShot(self, (height, width), plan)

    def text(self, prompt: str) -> Tensor:
        """The projected embedding (1,77,C) of a prompt, computed once."""
        if prompt not in self._texts:
            ids, mask = tokenize([prompt])
            self._texts[prompt] = self.network.embed_text(ids.to(self.device), mask.to(self.device))
        return self._texts[prompt]


@dataclass
class _Prepared:
    """What is known of a frame: cleaned (1,3,H,W), features (1,C,H,W), flows (1,2,H,W) between it and the next."""

    cleaned: Tensor
    features: Tensor
    backward_flow: Tensor | None = None
    forward_flow: Tensor | None = None


class TextOVSRShot:
    """One shot: the carried state and the frames prepared ahead."""

    def __init__(self, restorer: TextOVSRRestorer, size: tuple[int, int], plan: WindowPlan) -> None:
        self._restorer = restorer
        self._net = restorer.network
        self._size = size
        self._tile, self._feature_tile = plan.tiles
        self._passes = 0
        self._prepared: list[_Prepared] = []
        self._previous: tuple[_Prepared, Tensor] | None = None
        self._faded: list[Tensor] = []

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next window's kept frames; see ``Shot.restore``. Peak memory: one window and its look-ahead."""
        if not self._passes:
            self._passes = self._cleaning_passes(window, check)
        for item in window.items[len(self._prepared) :]:
            self._prepare(item, check)
        backward = self._backward(check)
        for index in range(window.kept):
            frame = self._prepared[index]
            state = self._forward(frame, check)
            self._previous = (frame, state)
            stacked = torch.cat([backward[index], state, frame.cleaned], dim=1)
            result = apply_tiled(self._reconstruct, stacked, self._tile, _RECONSTRUCT_HALO, check, SCALE)
            yield result[0, :, : SCALE * self._size[0], : SCALE * self._size[1]].float().cpu()
        self._prepared = self._prepared[window.kept :]
        self._faded = backward[window.kept :][: self._restorer.config.fade]

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``: 163 maps of 32-bit floats for 32 channels. What lies ahead is prepared again."""
        if self._previous is None:
            return {}
        frame, state = self._previous
        faded = {f"faded{i}": value for i, value in enumerate(self._faded)}
        return {"passes": torch.tensor(self._passes), "cleaned": frame.cleaned, "forward": state, **faded}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""
        if not state:
            return
        moved = {key: value.to(self._restorer.device) for key, value in state.items()}
        self._passes = int(moved["passes"])
        self._previous = (_Prepared(moved["cleaned"], features=moved["forward"]), moved["forward"])
        self._faded = [moved[f"faded{i}"] for i in range(len(moved)) if f"faded{i}" in moved]
        self._prepared = []

    def _prepare(self, item: PromptedFrame, check: Check) -> None:
        image = _pad(item.image[None]).to(self._restorer.device, self._restorer.dtype)
        cleaned = self._clean(image.contiguous(memory_format=torch.channels_last), self._passes, check)
        check()
        features = self._net.extract(cleaned, self._restorer.text(item.prompt))
        previous = self._prepared[-1] if self._prepared else (self._previous[0] if self._previous else None)
        if previous is not None:
            check()
            previous.backward_flow = self._net.flow(previous.cleaned, cleaned)
            previous.forward_flow = self._net.flow(cleaned, previous.cleaned)
        self._prepared.append(_Prepared(cleaned, features))

    def _cleaning_passes(self, window: Window[PromptedFrame], check: Check) -> int:
        """How often to clean, decided on the first window and kept for the shot, so that no border shows."""
        threshold = self._restorer.config.cleaning_threshold / 255.0
        if threshold >= 1:
            return 1
        frames = [_pad(item.image[None]).to(self._restorer.device, self._restorer.dtype) for item in window.items]
        for passes in range(1, MAX_CLEANING_PASSES):
            cleaned = [self._clean(frame, 1, check) for frame in frames]
            residual = sum(float((a - b).abs().mean()) for a, b in zip(cleaned, frames, strict=True)) / len(frames)
            if residual < threshold:
                return passes
            frames = cleaned
        return MAX_CLEANING_PASSES

    def _clean(self, image: Tensor, passes: int, check: Check) -> Tensor:
        halo = 2 * self._net.config.cleaning_blocks + 2
        for _ in range(passes):
            image = image + apply_tiled(self._net.image_cleaning, image, self._feature_tile, halo, check)
        return image

    def _backward(self, check: Check) -> list[Tensor]:
        """Backward features of every prepared frame, the first ones faded over from the window before."""
        blocks = self._net.basicvsr.backward_resblocks_layer10_po
        states: list[Tensor] = []
        state: Tensor | None = None
        for frame in reversed(self._prepared):
            state = self._step(blocks, frame, state, frame.backward_flow, check)
            states.append(state)
        states.reverse()
        fade = min(self._restorer.config.fade, len(self._faded))
        for index in range(fade):
            states[index] = torch.lerp(self._faded[index], states[index], (index + 1) / (fade + 1))
        return states

    def _forward(self, frame: _Prepared, check: Check) -> Tensor:
        previous, state = self._previous or (None, None)
        flow = previous.forward_flow if previous is not None else None
        return self._step(self._net.basicvsr.forward_resblocks_layer10_po, frame, state, flow, check)

    def _step(
        self, blocks: torch.nn.Module, frame: _Prepared, state: Tensor | None, flow: Tensor | None, check: Check
    ) -> Tensor:
        """One step of the recurrence (see ``models.text_ovsr.propagate``), its convolutions tile by tile."""
        warped = torch.zeros_like(frame.features) if state is None or flow is None else warp(state, flow)
        halo = 2 * self._net.config.blocks + 1
        return apply_tiled(blocks, torch.cat([frame.features, warped], dim=1), self._feature_tile, halo, check)

    def _reconstruct(self, stacked: Tensor) -> Tensor:
        c = self._net.config.channels
        return self._net.reconstruct(*stacked.split([c, c, 3], dim=1))


def _pad(image: Tensor) -> Tensor:
    """Repeat the border of (1,3,H,W) to the right and below until the network's smallest size is reached."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, max(MIN_SIDE - width, 0), 0, max(MIN_SIDE - height, 0)), mode="replicate")
