"""TextOVSR as a streaming restorer.

The forward state is carried exactly from window to window. The backward pass starts ``look_ahead`` frames after the
window; what it needs of those frames (cleaned frame, features, flow) is kept for the next window, so that each is
computed once. Where the next window starts, its backward features are faded in over those of the window before, so
that no border can be seen.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from ...models.text_ovsr import MAX_CLEANING_PASSES, TextOVSR
from ..config import GPU_PIXELS, GPU_WINDOW, SCALE, TILE, RecurrentConfig
from ..lane import Lane
from ..restorer import PromptedFrame
from ..text.encode import tokenize
from ..tiles import Check
from ..windows import Window, WindowPlan
from .memory import Costs, plan_memory
from .precision import pick_dtype
from .text_ovsr_fast import Fast
from .text_ovsr_work import How, Prepared, Work, halos, padded

_RESULT_BYTES = 3 * SCALE**2 * 2
"""For each pixel of the input, of a result in half precision."""

_STEP_MAPS = 3
"""Of features, beside those of the prepared frames, while a step runs: the state, warped, and what it becomes."""

_RESULTS_SHARE = 8
"""Results stay on a GPU, where they become an encoder's samples, if they take at most 1/8 of the memory."""


class TextOVSRRestorer:
    """Streams clips through a ``TextOVSR`` network.

    Args:
        network: in eval mode, on ``device``.
        config: windows, tiles, precision and cleaning; zeros are chosen by ``memory``.
        device: where the network is.
        memory: bytes that may be used beside the weights.
        dtype: what it computes in, if that is left to us; float32 on a CPU.
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
        self.dtype = pick_dtype(config.precision, dtype)
        self.network = network.to(device, self.dtype)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.config = config
        self.device = device
        self.memory = memory
        self._texts: dict[str, Tensor] = {}
        self._fast = Fast(config.speedup, device)
        self._made_for: object = None

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``: a hash of the weights, and the settings that change the picture."""
        digest = hashlib.sha256()
        for name, value in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        settings = replace(self.config, window=0, tile=0)
        speedup = f" {self.config.speedup}" if self._fast.active else ""
        return f"{digest.hexdigest()} {settings} {self.device.type} {self.dtype}{speedup}"

    def plan(self, height: int, width: int) -> WindowPlan:
        """Windows and tiles: as configured, or what is quickest and fits the memory."""
        network = self.network.config
        tile = TILE["cpu"]
        costs = Costs(self.dtype.itemsize, tile, pixels=(tile**2, 0), halos=halos(network))
        if self.device.type != "cpu":
            beside = Lane.results_held(self.keeps_results(height, width)) * _RESULT_BYTES
            beside += _STEP_MAPS * network.channels * self.dtype.itemsize
            tile = TILE["cuda"]
            costs = replace(costs, tile=tile, window=GPU_WINDOW, beside=beside, pixels=(tile**2, GPU_PIXELS))
        return plan_memory(network.channels, (height, width), self.memory, self.config, costs)

    def keeps_results(self, height: int, width: int) -> bool:
        """Whether results of frames of this size are handed over on the device."""
        results = Lane.results_held(keep=True) * _RESULT_BYTES * height * width
        return self.device.type in ("cuda", "meta") and results * _RESULTS_SHARE <= self.memory

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "TextOVSRShot":
        """Start a shot; the plan's tiles are those of ``plan_memory``."""
        made_for = plan.tiles, plan.batches
        if made_for != self._made_for:
            self._fast.clear()
            self._made_for = made_for
        how = How(self.dtype, plan.tiles, plan.batches or (1, 1), self._fast)
        lane = Lane(self.device, self.keeps_results(height, width))
        return TextOVSRShot(self, (height, width), Work(self.network, how), lane, how.together)

    def text(self, prompt: str) -> Tensor:
        """The projected embedding (1,77,C) of a prompt, computed once."""
        if prompt not in self._texts:
            ids, mask = tokenize([prompt])
            self._texts[prompt] = self.network.embed_text(ids.to(self.device), mask.to(self.device))
        return self._texts[prompt]


class TextOVSRShot:
    """One shot: the carried state and the frames prepared ahead."""

    def __init__(
        self, restorer: TextOVSRRestorer, size: tuple[int, int], work: Work, lane: Lane, together: int
    ) -> None:
        self._restorer = restorer
        self._size = size
        self._work, self._lane, self._together = work, lane, together
        self._passes = 0
        self._prepared: list[Prepared] = []
        self._previous: tuple[Prepared, Tensor] | None = None
        self._faded: list[Tensor] = []

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the window's kept frames; see ``Shot.restore``. Peak memory: one window and its look-ahead."""
        self._lane.begin()
        with self._lane.working():
            backward = self._look_ahead(window, check)
        for index in range(window.kept):
            with self._lane.working():
                ready = self._lane.send(self._result(self._prepared[index], backward[index], check))
            yield from ready
        yield from self._lane.flush()
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
        with self._lane.working():  # memory of another stream would be given away before this one has read it
            moved = {key: value.to(self._restorer.device) for key, value in state.items()}
        self._passes = int(state["passes"])
        self._previous = (Prepared(moved["cleaned"], features=moved["forward"]), moved["forward"])
        self._faded = [moved[f"faded{i}"] for i in range(len(moved)) if f"faded{i}" in moved]
        self._prepared = []

    def _look_ahead(self, window: Window[PromptedFrame], check: Check) -> list[Tensor]:
        """Prepare what is new of the window's frames; returns the backward features of all."""
        if not self._passes:
            self._passes = self._cleaning_passes(window, check)
        for start in range(len(self._prepared), len(window.items), self._together):
            items = window.items[start : start + self._together]
            images = torch.cat([self._image(item) for item in items])
            text = torch.cat([self._restorer.text(item.prompt) for item in items])
            previous = self._prepared[-1] if self._prepared else (self._previous[0] if self._previous else None)
            self._prepared += self._work.prepare(images, text, previous, self._passes, check)
        return self._backward(check)

    def _image(self, item: PromptedFrame) -> Tensor:
        """A frame on the device, (1,3,H,W), as large as the network wants it."""
        image = self._lane.upload(item.image[None]).to(torch.float32)
        return padded(image).contiguous(memory_format=torch.channels_last)

    def _cleaning_passes(self, window: Window[PromptedFrame], check: Check) -> int:
        """How often to clean, decided on the first window and kept for the shot, so that no border shows."""
        threshold = self._restorer.config.cleaning_threshold / 255.0
        if threshold >= 1:
            return 1
        frames = [self._image(item) for item in window.items]
        for passes in range(1, MAX_CLEANING_PASSES):
            cleaned = [self._work.clean(frame, 1, check) for frame in frames]
            residual = sum(float((a - b).abs().mean()) for a, b in zip(cleaned, frames, strict=True)) / len(frames)
            if residual < threshold:
                return passes
            frames = cleaned
        return MAX_CLEANING_PASSES

    def _backward(self, check: Check) -> list[Tensor]:
        """Backward features of every prepared frame, the first ones faded over from the window before."""
        states: list[Tensor] = []
        state: Tensor | None = None
        for frame in reversed(self._prepared):
            state = self._work.step(True, frame, state, frame.backward_flow, check)
            states.append(state)
        states.reverse()
        fade = min(self._restorer.config.fade, len(self._faded))
        for index in range(fade):
            states[index] = torch.lerp(self._faded[index], states[index], (index + 1) / (fade + 1))
        return states

    def _result(self, frame: Prepared, backward: Tensor, check: Check) -> Tensor:
        """The next frame's forward step, which is carried, and the frame, (3,4H,4W)."""
        previous, state = self._previous or (None, None)
        flow = previous.forward_flow if previous is not None else None
        state = self._work.step(False, frame, state, flow, check)
        frame.features = state  # its own are not needed any more
        self._previous = (frame, state)
        result = self._work.reconstruct(backward, state, frame.cleaned, check)
        return result[0, :, : SCALE * self._size[0], : SCALE * self._size[1]]
