"""Analogue video tape: what its narrow channel, its heads and its ageing do to a picture, on clips (T,C,H,W).

A line of tape is a signal in time, so that nearly everything here acts along lines. Lengths are in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .draws import Draws
from .operation import Limits, Operation, level
from .signal import correlated, shift, smooth, to_rgb, to_ycc

_CHROMA_LINES = 1.5
"""Players mix the colour of neighbouring lines: the sigma, in lines, of how far its noise reaches down."""


@dataclass(frozen=True)
class LumaLowPass(Operation):
    """The narrow luma channel and the player's crispening against it.

    Y' = L(Y) + peaking * (L(Y) - M(L(Y))), where L is a Gaussian along the line with sigma ``sigma`` and M one with
    2.5 times that: soft edges with a halo on both sides.
    """

    sigma: float
    peaking: float = 0.0

    DRIFTS: ClassVar[Limits] = {"sigma": (0.2, 8.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Filter every line alike; colours stay sharp."""
        ycc = to_ycc(clip)
        luma = smooth(ycc[:, :1], self.sigma)
        luma = luma + self.peaking * (luma - smooth(luma, 2.5 * self.sigma))
        return to_rgb(torch.cat((luma, ycc[:, 1:]), 1)).clamp(0, 1)

    def describe(self) -> str:
        """By sigma, .2 to 3 pixels, as a blur."""
        return f"{level(self.sigma, 0.2, 3.0)} blur"


@dataclass(frozen=True)
class ChromaBleed(Operation):
    """The narrower chroma channel: colour smears (sigmas ``across`` and ``down``) and lies beside its edge."""

    across: float
    down: float
    right: float = 0.0
    below: float = 0.0

    DRIFTS: ClassVar[Limits] = {"across": (0.5, 24.0), "right": (0.0, 24.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Blur and move the two colour differences; luma stays."""
        ycc = to_ycc(clip)
        chroma = shift(smooth(ycc[:, 1:], self.across, self.down), self.right, self.below)
        return to_rgb(torch.cat((ycc[:, :1], chroma), 1)).clamp(0, 1)

    def describe(self) -> str:
        """By the smear along the line, 1 to 8 pixels."""
        return f"{level(self.across, 1.0, 8.0)} color bleeding"


@dataclass(frozen=True)
class TapeNoise(Operation):
    """Noise that is correlated along lines, and far longer in colour than in luma.

    ``luma`` and ``chroma`` are standard deviations of 255, of Y and of each colour difference; ``luma_length`` and
    ``chroma_length`` the sigmas of the Gaussians that white noise is filtered by along the line.
    """

    luma: float
    chroma: float
    luma_length: float = 0.8
    chroma_length: float = 6.0

    DRIFTS: ClassVar[Limits] = {"luma": (0.0, 40.0), "chroma": (0.0, 40.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Fresh noise in every frame."""
        white = draws.normal(clip, 3)
        luma = correlated(white[:, :1], self.luma_length) * (self.luma / 255)
        chroma = correlated(white[:, 1:], self.chroma_length, _CHROMA_LINES) * (self.chroma / 255)
        return (clip + to_rgb(torch.cat((luma, chroma), 1))).clamp(0, 1)

    def describe(self) -> str:
        """By the luma's, 1 to 30."""
        return f"{level(self.luma, 1.0, 30.0)} noise"


@dataclass(frozen=True)
class LineJitter(Operation):
    """The time base error: lines start a little early or late, the next ones with them; RMS in pixels."""

    amount: float
    lines: float = 6.0

    DRIFTS: ClassVar[Limits] = {"amount": (0.0, 4.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Move every line; a slow wave of ``lines`` lines and a tenth of loose shaking."""
        t, _, h, _ = clip.shape
        loose = draws.normal(clip[:, :1, :, :2].new_zeros(t, 1, h, 2))
        slow, quick = correlated(loose[..., :1], 0.0, self.lines), loose[..., 1:]
        move = self.amount * (0.995 * slow + 0.1 * quick)
        return shift(clip, move[:, 0])  # (T,1,H,1) -> (T,H,1)

    def describe(self) -> str:
        """By its RMS, up to 1 pixel."""
        return f"{level(self.amount, 0.0, 1.0)} line jitter"


@dataclass(frozen=True)
class HeadSwitching(Operation):
    """The last lines, where one head hands over to the other: torn aside, noisy, and never twice the same.

    ``height`` is in lines, ``pull`` the largest shift in pixels, ``noise`` a standard deviation of 255.
    """

    height: float
    pull: float
    noise: float = 25.0

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Tear the bottom of every frame."""
        t, _, h, _ = clip.shape
        line = torch.arange(h, device=clip.device)
        moves, depths = [], []
        for index in range(t):
            rng = draws.rng(index)
            depth = (line - h + self.height + rng.uniform(-1.0, 1.0)).clamp(min=0) / self.height
            moves.append(self.pull * rng.uniform(0.7, 1.0) * depth.sqrt())
            depths.append(depth.clamp(0, 1) > 0)
        torn = torch.stack(depths)[:, None, :, None].to(clip)  # (T,H) -> (T,1,H,1)
        noise = correlated(draws.normal(clip, 1), 2.0) * (self.noise / 255)
        return (shift(clip, torch.stack(moves)[..., None].to(clip)) + noise * torn).clamp(0, 1)

    def describe(self) -> str:
        """By its height, up to 12 lines."""
        return f"{level(self.height, 0.0, 12.0)} head switching noise"


@dataclass(frozen=True)
class Dropouts(Operation):
    """Spots without signal: bright streaks along a line, ``count`` a frame on average, ``length`` pixels long."""

    count: float
    length: float

    DRIFTS: ClassVar[Limits] = {"count": (0.0, 40.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Draw fresh streaks into every frame: full at their left end, fading to the right."""
        t, _, h, w = clip.shape
        result = clip.clone()
        for index in range(t):
            rng = draws.rng(index)
            for _ in range(int(rng.poisson(self.count))):
                long = max(int(rng.exponential(self.length)) + 2, 2)
                y, x = int(rng.integers(h)), int(rng.integers(-long, w))
                profile = np.exp(-2.0 * np.arange(long) / long) * rng.uniform(0.5, 1.0) * (rng.random(long) > 0.2)
                left, right = max(x, 0), min(x + long, w)
                mask = torch.from_numpy(profile[left - x : right - x]).to(clip)
                result[index, :, y, left:right] += (0.92 - result[index, :, y, left:right]) * mask
        return result

    def describe(self) -> str:
        """By their number, up to 12 a frame."""
        return f"{level(self.count, 0.0, 12.0)} dropouts"


@dataclass(frozen=True)
class Ghost(Operation):
    """An echo: the picture again, ``delay`` pixels to the right and weaker."""

    delay: float
    strength: float

    DRIFTS: ClassVar[Limits] = {"strength": (0.0, 0.5)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Mix every frame with its echo; brightness stays."""
        return (1 - self.strength) * clip + self.strength * shift(clip, self.delay)

    def describe(self) -> str:
        """By its strength, up to .3."""
        return f"{level(self.strength, 0.0, 0.3)} ghosting"


@dataclass(frozen=True)
class Interlace(Operation):
    """Two fields shown as one picture: every other line is from the frame before, so that moving edges comb.

    ``late`` are the newer lines, 0 for the even ones and 1 for the odd ones.
    """

    late: int = 1

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Weave the frames of a whole clip."""
        return torch.cat(list(self.run(iter([clip]), 0)))

    def run(self, pieces: Iterator[Tensor], seed: int) -> Iterator[Tensor]:
        """Weave pieces as they come; the first frame is woven with itself."""
        before: Tensor | None = None
        for piece in pieces:
            older = torch.cat((piece[:1] if before is None else before, piece[:-1]))
            woven = piece.clone()
            woven[..., 1 - self.late :: 2, :] = older[..., 1 - self.late :: 2, :]
            before = piece[-1:].clone()
            yield woven

    def describe(self) -> str:
        """Without a level: it is there or it is not."""
        return "interlacing"
