"""Strengths that wander smoothly over a clip."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .operation import Operation

PERIOD = 50.0
"""Frames from one chosen strength to the next: two seconds at 25 frames a second."""

_SALT = 1_000_003
"""Keeps the drift apart from everything else that is drawn with the operation's seed."""


@dataclass(frozen=True)
class Drifting(Operation):
    """An operation whose strength at frame t is its own times 2^(amount * curve(t)), with a curve in [-1,1].

    The curve is ``Draws.smooth`` with a period of ``PERIOD`` frames. It wanders around 0 for ever, so that a clip may
    have any length and its words describe the middle.
    """

    operation: Operation
    amount: float

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Degrade every frame by the strength of its moment."""
        results = []
        for index in range(clip.shape[0]):
            at = Draws(draws.seed, draws.first + index)
            results.append(self.at(at).degrade(clip[index : index + 1], at))
        return torch.cat(results)

    def at(self, draws: Draws) -> Operation:
        """The operation as it is at the first frame of ``draws``."""
        return self.operation.drifted(2.0 ** (self.amount * draws.smooth(0, PERIOD, _SALT)))

    def describe(self) -> str:
        """As the operation itself."""
        return self.operation.describe()
