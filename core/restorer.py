"""The one protocol that every restoration system implements."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from .tiles import Check
from .windows import Window, WindowPlan


@dataclass(frozen=True)
class PromptedFrame:
    """A frame to restore: ``image`` (3,H,W), RGB in [0,1], CPU; ``prompt`` guides it and may be empty."""

    image: Tensor
    prompt: str = ""


class Shot(Protocol):
    """The restoration of one shot: it holds the state carried from window to window."""

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the window's kept frames in order, (3,scale*H,scale*W), any float type, not clamped.

        A frame is finished when it is yielded. It is on the CPU, or on a GPU, where the default stream may read it.
        ``check`` is called between pieces of work and may raise to cancel.
        """

    def state(self) -> Mapping[str, Tensor]:
        """What the next window needs to know of those before: CPU or GPU tensors that are never written to again.

        A shot that is opened anew and given this goes on exactly as this one would. Empty before the first window.
        """

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` of a shot of the same restorer and size returned."""


class Restorer(Protocol):
    """A restoration system."""

    scale: int

    @property
    def identity(self) -> str:
        """Names everything that decides the picture: weights, settings, device, precision. Not windows or tiles."""

    def plan(self, height: int, width: int) -> WindowPlan:
        """How frames of this size are to be cut into windows and tiles, the memory permitting."""

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> Shot:
        """Start a shot of frames of this size, with no memory of anything before."""
