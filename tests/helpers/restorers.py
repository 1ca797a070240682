"""Restorers without a network: cheap, exact, and with a state that shows whether it was carried."""

import time
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.restorer import PromptedFrame
from textovsr.core.tiles import Check
from textovsr.core.windows import Window, WindowPlan


class Enlarge:
    """A restorer that repeats every pixel; it notes its windows, shots and prompts.

    Args:
        length: frames a window.
        look_ahead: frames looked at beyond it.
        scale: times larger.
    """

    def __init__(self, length: int = 2, look_ahead: int = 1, scale: int = 4) -> None:
        self.scale = scale
        self.windows = WindowPlan(length, look_ahead, (0,))
        self.seen: list[tuple[int, int]] = []
        self.prompts: list[str] = []
        self.shots = 0

    @property
    def identity(self) -> str:
        return f"enlarge {self.scale}"

    def plan(self, height: int, width: int) -> WindowPlan:
        return self.windows

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "EnlargedShot":
        self.shots += 1
        return EnlargedShot(self)


class EnlargedShot:
    """Its state is the number of frames that came out."""

    def __init__(self, restorer: Enlarge) -> None:
        self.restorer = restorer
        self.done = 0

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        assert window.start == self.done, "the state and the window are at different frames"
        self.restorer.seen.append((window.start, len(window.items)))
        for item in window.items[: window.kept]:
            check()
            self.restorer.prompts.append(item.prompt)
            yield self.draw(item.image)
            self.done += 1

    def draw(self, image: Tensor) -> Tensor:
        return F.interpolate(image[None], scale_factor=self.restorer.scale)[0]

    def state(self) -> dict[str, Tensor]:
        return {"done": torch.tensor(self.done)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self.done = int(state["done"])


class Trail(Enlarge):
    """A restorer whose every frame depends on all frames of its shot before it and on those it may look at.

    Args:
        length, look_ahead: as ``Enlarge``.
        seconds: to wait for every frame, as for a slower network.
    """

    def __init__(self, length: int = 4, look_ahead: int = 2, seconds: float = 0.0) -> None:
        super().__init__(length, look_ahead, scale=2)
        self.seconds = seconds

    @property
    def identity(self) -> str:
        return "trail"

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "TrailShot":
        return TrailShot(self)


class TrailShot(EnlargedShot):
    """Carries an average of the frames so far."""

    restorer: Trail

    def __init__(self, restorer: Trail) -> None:
        super().__init__(restorer)
        self.trail: Tensor | None = None

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        ahead = torch.stack([item.image for item in window.items]).mean(dim=0)
        for image, item in zip(super().restore(window, check), window.items, strict=False):  # run to its end
            time.sleep(self.restorer.seconds)
            self.trail = item.image if self.trail is None else 0.7 * self.trail + 0.3 * item.image
            yield 0.5 * image + 0.3 * self.draw(self.trail) + 0.2 * self.draw(ahead)

    def state(self) -> dict[str, Tensor]:
        assert self.trail is not None
        return {**super().state(), "trail": self.trail}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self.trail = state.get("trail")
