"""What guides a few frames of many: conditioning cut to a window, ControlNets and all."""

from typing import Any

from comfy.controlnet import ControlBase
from torch import Tensor

Conditioning = list[list[Any]]
"""As the host has it: pairs of an embedding (B,N,C) and a dictionary of what belongs to it."""


def slice_conditioning(all_of_it: list[Conditioning], frames: range, total: int) -> list[Conditioning]:
    """Cut what is there for every frame down to some frames; what is there once, for all of them, stays.

    Args:
        all_of_it: what guides the whole, the positive and the negative. Nothing in it is changed.
        frames: of the window, a range with step 1.
        total: frames of the whole.

    Returns:
        The same for a sampler that sees the window only: embeddings, images to concatenate (``concat_image`` of the
        x4 upscaler), masks and the hints of ControlNets. What was one object in several places is one again, by which
        the host knows that it can run the positive and the negative together.
    """
    return all_of_it if len(frames) == total else _Slicer(frames, total).apply(all_of_it)


class _Slicer:
    def __init__(self, frames: range, total: int) -> None:
        self._window, self._total = slice(frames.start, frames.stop), total
        self._controls: dict[int, ControlBase] = {}

    def apply(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, ControlBase):
            return self._control(value)
        if isinstance(value, dict):
            return {key: self.apply(inner) for key, inner in value.items()}
        return [self.apply(inner) for inner in value] if isinstance(value, list) else value

    def _tensor(self, value: Tensor) -> Tensor:
        if value.ndim == 5 and value.shape[2] == self._total:  # (B,C,T,h,w)
            return value[:, :, self._window]
        return value[self._window] if value.ndim and value.shape[0] == self._total else value

    def _control(self, control: ControlBase) -> ControlBase:
        """Over the same weights, with the hints of the window; and so those before it in its chain."""
        if id(control) not in self._controls:
            cut = control.copy()
            cut.cond_hint_original = self.apply(control.cond_hint_original)
            cut.extra_concat_orig = self.apply(control.extra_concat_orig)
            if control.previous_controlnet is not None:
                cut.set_previous_controlnet(self._control(control.previous_controlnet))
            self._controls[id(control)] = cut
        return self._controls[id(control)]
