"""Randomness by frame number: what frame t draws depends on the seed and on t, never on where a clip is cut."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Draws:
    """The randomness of one operation from frame ``first`` on.

    Attributes:
        seed: of the operation, 0 to 2^63 - 1.
        first: number of the first frame of the piece at hand, counted from the beginning of the clip.
    """

    seed: int
    first: int = 0

    def normal(self, like: Tensor, channels: int | None = None) -> Tensor:
        """Standard normal noise for every frame of a piece (T,C,H,W); ``channels`` instead of C if given.

        It is drawn on the CPU whatever the device, so that a GPU gets the same.
        """
        t, c, h, w = like.shape
        noise = [torch.randn((channels or c, h, w), generator=self.generator(index)) for index in range(t)]
        return torch.stack(noise).to(like)

    def generator(self, index: int) -> torch.Generator:
        """A generator for frame ``index`` of the piece."""
        return torch.Generator().manual_seed(mix(self.seed, self.first + index))

    def rng(self, index: int, salt: int = 0) -> np.random.Generator:
        """NumPy's, for frame ``index`` of the piece; another ``salt`` is another stream."""
        return np.random.default_rng((self.seed, 1 + salt, self.first + index))

    def epoch(self, number: int, salt: int = 0) -> np.random.Generator:
        """NumPy's, for something that lasts longer than a frame and has a number of its own."""
        return np.random.default_rng((self.seed, 1 + salt, number, 0))

    def smooth(self, index: int, period: float, salt: int = 0) -> float:
        """A curve through random values in [-1,1], one every ``period`` frames, at frame ``index`` of the piece.

        Between two values a and b it is a + (b - a) s, with s = 3 x^2 - 2 x^3.
        """
        knot, share = divmod((self.first + index) / period, 1.0)
        a, b = (self.epoch(int(knot) + step, salt).uniform(-1.0, 1.0) for step in (0, 1))
        return float(a + (b - a) * share * share * (3.0 - 2.0 * share))


def mix(seed: int, number: int) -> int:
    """A seed for the ``number``-th of many things that share a ``seed``: the finaliser of splitmix64."""
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) >> 1
