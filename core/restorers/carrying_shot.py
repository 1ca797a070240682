"""What the shots of all diffusion systems do: carry latents from window to window, blend, fill up."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from ..overlaps import Curve, blend_weights, filled_order
from ..restorer import PromptedFrame
from ..windows import Window


class CarryingShot:
    """A shot that carries tensors by name, frames first, on the CPU; ``ahead`` are latents of the next window.

    Args:
        carried: what each is at the beginning: of no frame.
    """

    def __init__(self, **carried: Tensor) -> None:
        self._carried = carried

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``."""
        return {name: value for name, value in self._carried.items() if len(value)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""
        self._carried.update({name: state[name] for name in self._carried.keys() & state.keys()})

    def _keep(self, name: str, new: Tensor, count: int) -> None:
        """Of what is carried under this name and what follows it, the last ``count``."""
        both = torch.cat([self._carried[name], new])
        self._carried[name] = both[max(len(both) - count, 0) :].clone()

    def _keep_ahead(self, latents: Tensor) -> None:
        self._carried["ahead"] = latents.clone()


class ClipSettings(Protocol):
    """What a ``ClipShot`` asks its settings for."""

    @property
    def context(self) -> int:
        """Frames decoded again beside those of a window."""

    @property
    def fill(self) -> str:
        """What a window that is too short is filled up with: ``mirror`` goes back, ``repeat`` stands still."""


class ClipShot(CarryingShot):
    """A shot in clips of one length, filled up where they are shorter, whose decoder sees the frames beside them.

    It carries ``ahead``, and of the last ``context`` frames their ``latents``, and ``images`` in half precision.

    Args:
        settings: how it is run.
        length: frames of a clip.
        frame: height and width.
        latent: (C,h,w) of a frame's latents.
    """

    def __init__(self, settings: ClipSettings, length: int, frame: tuple[int, int], latent: tuple[int, ...]) -> None:
        ahead = torch.zeros(0, *latent)
        super().__init__(ahead=ahead, latents=ahead, images=torch.zeros(0, 3, *frame, dtype=torch.float16))
        self._settings, self._length = settings, length

    def _order(self, count: int) -> list[int]:
        """Numbers of a clip's frames made of ``count``."""
        return filled_order(count, max(self._length, count), self._settings.fill == "mirror")

    def _seen(self, window: Window[PromptedFrame], latents: Tensor) -> Tensor:
        """Latents that are decoded together: those carried, the kept ones, and what follows, as much as is needed."""
        before, kept = self._carried["latents"], window.kept
        ahead = min(max(self._settings.context, self._length - len(before) - kept), len(latents) - kept)
        return torch.cat([before, latents[: kept + ahead]])

    def _remember(self, window: Window[PromptedFrame], latents: Tensor) -> None:
        images = torch.stack([item.image.half() for item in window.items[: window.kept]])
        self._keep("latents", latents[: window.kept], self._settings.context)
        self._keep("images", images, self._settings.context)
        self._keep_ahead(latents[window.kept :])


def blended(sampled: Tensor, known: Tensor, curve: Curve) -> Tensor:
    """Latents whose first ones fade from what the window before made of them into what this one did, in place.

    Interweaved latent transition (DiffVSR, section 3.3), once, on the final latents.
    """
    for index, weight in enumerate(blend_weights(len(known), curve)):
        sampled[index] = torch.lerp(sampled[index], known[index], weight)
    return sampled
