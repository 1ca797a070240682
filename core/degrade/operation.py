"""What a degradation is: fixed parameters, words, and a way to work on frames as they come."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .draws import Draws

Limits = dict[str, tuple[float, float]]
"""Fields and the smallest and largest value of each."""

LEVELS = ("light", "medium", "heavy")


def level(value: float, low: float, high: float) -> str:
    """The bin of ``value`` among three equal ones from ``low`` (light) to ``high`` (heavy); either may be larger."""
    position = (value - low) / (high - low)
    return LEVELS[min(max(int(position * 3), 0), 2)]


@dataclass(frozen=True)
class Operation(ABC):
    """A degradation with fixed parameters: its fields, which are plain values.

    Attributes:
        DRIFTS: the fields that may wander over a clip, with the smallest and largest value each may reach.
    """

    DRIFTS: ClassVar[Limits] = {}

    @abstractmethod
    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Degrade a piece (T,C,H,W) of a clip, RGB in [0,1]; every frame on its own, with what ``draws`` gives it."""

    @abstractmethod
    def describe(self) -> str:
        """Its words, empty when there is nothing to say."""

    def run(self, pieces: Iterator[Tensor], seed: int) -> Iterator[Tensor]:
        """Degrade a clip that comes in pieces (T,C,H,W), whose lengths do not matter; those that go may differ."""
        first = 0
        for piece in pieces:
            yield self.degrade(piece, Draws(seed, first))
            first += piece.shape[0]

    def apply(self, clip: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade a whole clip (T,C,H,W); ``generator`` (CPU) gives the seed."""
        return torch.cat(list(self.run(iter([clip]), draw_seed(generator))))

    def drifted(self, factor: float) -> "Operation":
        """The same with every field of ``DRIFTS`` times ``factor``, within its limits."""
        changed: dict[str, float | tuple[float, ...]] = {}
        for name, (low, high) in self.DRIFTS.items():
            value = getattr(self, name)
            if value is None:
                continue
            several = value if isinstance(value, tuple) else (value,)
            moved = tuple(min(max(v * factor, min(low, v)), max(high, v)) if v > 0 else v for v in several)
            changed[name] = moved if isinstance(value, tuple) else moved[0]
        return replace(self, **changed)


def draw_seed(generator: torch.Generator) -> int:
    """A seed for ``Draws``."""
    return int(torch.randint(2**63 - 1, (), generator=generator))
