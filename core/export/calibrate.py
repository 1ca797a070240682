"""Which values the convolutions of a network see, and what 8 bits make of them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ...models.exported import Quantized
from ...models.text_ovsr import TextOVSR
from ..config import RecurrentConfig
from ..job import Job
from ..pipeline import restore_frames
from ..restorers.text_ovsr import TextOVSRRestorer
from ..tiles import Check
from .material import Clip

WEIGHT_LEVELS = 63
"""Weights have 7 bits, -63 to 63: two products together then fit the 16 bits that CPUs without VNNI have for them."""

_LEVELS = 255
_SAMPLES = 1 << 14  # of a tensor, evenly spread
_SHARES = [1 - step / 40 for step in range(30)]
_MEMORY = 1 << 32


@dataclass
class Observed:
    """The values that came into a convolution: some of them, and the extremes of all."""

    low: float = 0.0
    high: float = 0.0
    samples: list[Tensor] = field(default_factory=list)

    def add(self, x: Tensor) -> None:
        """Look at (B,C,H,W)."""
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        values = x.flatten()
        self.samples.append(values[:: max(values.numel() // _SAMPLES, 1)].clone())

    def range(self) -> tuple[float, float]:
        """The range that loses least to 256 levels, squared: rare extremes may be worth less than finer steps."""
        values = torch.cat(self.samples)
        ends = [(self.low * share, self.high * share) for share in _SHARES]
        losses = [float((_rounded(values, *_with_zero(low, high)) - values).square().mean()) for low, high in ends]
        low, high = ends[losses.index(min(losses))]
        return _with_zero(low, high)


def observe(
    network: TextOVSR, names: Sequence[str], clips: Iterable[Clip], check: Check = lambda: None
) -> dict[str, Observed]:
    """Restore clips and look at what comes into the named convolutions.

    Args:
        network: in float32, on the CPU.
        names: of convolutions.
        clips: what to restore.
        check: called between pieces of work; raises to cancel.
    """
    seen = {name: Observed() for name in names}
    with torch.inference_mode(), _watching(network, seen):
        for clip in clips:
            for _ in restored(network, clip, check):
                pass
    return seen


def restored(network: TextOVSR, clip: Clip, check: Check) -> Iterator[Tensor]:
    """A clip's restored frames, (3,4H,4W); for the arguments see ``observe``."""
    restorer = TextOVSRRestorer(network, RecurrentConfig(), torch.device("cpu"), _MEMORY)
    frames = ((frame, 0.0) for frame in clip.frames)
    return restore_frames(frames, restorer, Job(degradation=clip.words), check)


def quantize(layer: nn.Conv2d, low: float, high: float) -> Quantized:
    """A convolution in 8 bits, for an input from ``low`` to ``high``; every output has its own scale."""
    weight = layer.weight.detach().float()
    scale = weight.abs().amax(dim=(1, 2, 3)).clamp_min(torch.finfo(torch.float32).tiny) / WEIGHT_LEVELS
    steps = (weight / scale.view(-1, 1, 1, 1)).round().clamp(-WEIGHT_LEVELS, WEIGHT_LEVELS)
    return Quantized(steps.to(torch.int8), scale, low, high)


@contextmanager
def _watching(network: nn.Module, seen: dict[str, Observed]) -> Iterator[None]:
    modules = dict(network.named_modules())

    def watch(name: str, observed: Observed) -> RemovableHandle:
        return modules[name].register_forward_pre_hook(lambda _, given: observed.add(given[0]))

    handles = [watch(name, observed) for name, observed in seen.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """A range of 256 levels one of which is exactly zero, since zeros surround every frame."""
    step = max(high - low, torch.finfo(torch.float32).tiny) / _LEVELS
    below = round(-low / step)
    return -below * step, (_LEVELS - below) * step


def _rounded(values: Tensor, low: float, high: float) -> Tensor:
    step = (high - low) / _LEVELS
    return (values.clamp(low, high) / step).round() * step
