"""Old film, and what a projector and a lab did to it, on clips (T,C,H,W), RGB in [0,1]; lengths in pixels."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .draws import Draws
from .operation import Limits, Operation, level
from .signal import correlated, shift

_JUMP, _BREATH = 1, 100
"""Salts: what changes from frame to frame, and what changes slowly."""


@dataclass(frozen=True)
class Grain(Operation):
    """Film grain: noise with a size, strongest in the middle tones.

    Its standard deviation is ``sigma`` (of 255) at mid-grey and sqrt(4 y (1 - y)) of it at a luma of y, but never less
    than a fifth. ``size`` is the sigma of the Gaussian that makes grains of white noise; ``colour`` is the share that
    differs between the three layers.
    """

    sigma: float
    size: float
    colour: float = 0.3

    DRIFTS: ClassVar[Limits] = {"sigma": (0.0, 60.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Fresh grain in every frame."""
        white = correlated(draws.normal(clip, 4), self.size, self.size)
        noise = math.sqrt(1 - self.colour) * white[:, :1] + math.sqrt(self.colour) * white[:, 1:]
        luma = clip.mean(dim=1, keepdim=True).clamp(0, 1)
        strength = (4 * luma * (1 - luma)).sqrt().clamp(min=0.2) * (self.sigma / 255)
        return (clip + noise * strength).clamp(0, 1)

    def describe(self) -> str:
        """By sigma, 1 to 30, as noise."""
        return f"{level(self.sigma, 1.0, 30.0)} noise"


@dataclass(frozen=True)
class Dust(Operation):
    """Specks and hairs that are there for one frame: ``count`` a frame on average, ``size`` pixels across.

    Dirt on a print is dark and dirt on a negative is white; ``white`` is the share of the latter. One in eight is a
    hair.
    """

    count: float
    size: float
    white: float = 0.4

    DRIFTS: ClassVar[Limits] = {"count": (0.0, 60.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Draw fresh dirt into every frame."""
        result = clip.clone()
        for index in range(clip.shape[0]):
            rng = draws.rng(index)
            for _ in range(int(rng.poisson(self.count))):
                self._draw(result[index], rng)
        return result

    def _draw(self, image: Tensor, rng: np.random.Generator) -> None:
        hair = rng.random() < 0.125
        mask = _hair(rng, self.size) if hair else _speck(rng, self.size * rng.lognormal(0.0, 0.5))
        tone = rng.uniform(0.85, 1.0) if rng.random() < self.white and not hair else rng.uniform(0.0, 0.15)
        _, h, w = image.shape
        y, x = int(rng.integers(h)) - mask.shape[0] // 2, int(rng.integers(w)) - mask.shape[1] // 2
        top, left = max(y, 0), max(x, 0)
        inside = mask[top - y : h - y, left - x : w - x]
        place = image[:, top : top + inside.shape[0], left : left + inside.shape[1]]
        place += (tone - place) * torch.from_numpy(inside * rng.uniform(0.6, 1.0)).to(image)

    def describe(self) -> str:
        """By its number, up to 12 a frame."""
        return f"{level(self.count, 0.0, 12.0)} dust"


@dataclass(frozen=True)
class Scratches(Operation):
    """Lines along the film: up to ``count`` at a time, each for ``life`` frames, wandering a little, worn in places.

    Each is ``width`` pixels wide and takes or gives up to ``strength`` of full scale.
    """

    count: int
    strength: float
    width: float = 1.0
    life: int = 40

    DRIFTS: ClassVar[Limits] = {"strength": (0.0, 0.8)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Scratch every frame."""
        _, _, h, w = clip.shape
        x = torch.arange(w, device=clip.device, dtype=clip.dtype)
        result = clip.clone()
        for index in range(clip.shape[0]):
            for slot in range(self.count):
                where, change, worn = self._scratch(draws, index, slot, h)
                profile = torch.exp(-0.5 * ((x - where * (w - 1)) / (0.5 * self.width)).square())
                result[index] += change * torch.from_numpy(worn).to(clip)[:, None] * profile
        return result.clamp(0, 1)

    def _scratch(self, draws: Draws, index: int, slot: int, height: int) -> tuple[float, float, NDArray[np.float64]]:
        """Where it is (share of the width), how bright, and how much of it is there on every line."""
        salt = 2 + slot
        phase = int(draws.epoch(0, 1000 + slot).integers(self.life))
        frame = draws.first + index
        rng = draws.epoch((frame + phase) // self.life, salt)
        where, change = rng.uniform(), rng.uniform(0.4, 1.0) * self.strength * rng.choice((-1.0, 1.0, 1.0))
        if rng.random() < 0.35:  # a pause
            change = 0.0
        where += 0.004 * draws.smooth(index, 6.0, 2000 + slot)
        knots = draws.rng(index, salt).uniform(-0.3, 1.6, size=9).clip(0, 1)
        return where, float(change), np.interp(np.linspace(0, 8, height), np.arange(9), knots)

    def describe(self) -> str:
        """By their number, up to 6."""
        return f"{level(self.count, 0.0, 6.0)} scratches"


@dataclass(frozen=True)
class Flicker(Operation):
    """Brightness that breathes and jumps: every frame times 1 + ``amount`` times a curve in [-1,1]."""

    amount: float

    DRIFTS: ClassVar[Limits] = {"amount": (0.0, 0.4)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Three parts of slow breathing to two of jumps."""
        curve = [
            0.6 * draws.smooth(index, 5.0, _BREATH) + 0.4 * draws.rng(index, _JUMP).uniform(-1, 1)
            for index in range(clip.shape[0])
        ]
        gains = 1 + self.amount * torch.tensor(curve)
        return (clip * gains.to(clip)[:, None, None, None]).clamp(0, 1)

    def describe(self) -> str:
        """By its amount, up to .24."""
        return f"{level(self.amount, 0.0, 0.24)} flicker"


@dataclass(frozen=True)
class GateWeave(Operation):
    """A picture that does not stand still: it floats by up to ``amount`` pixels and jumps by a third of it."""

    amount: float

    DRIFTS: ClassVar[Limits] = {"amount": (0.0, 12.0)}

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Move every frame; less sideways, where perforations guide it."""
        moves = []
        for index in range(clip.shape[0]):
            rng = draws.rng(index, _JUMP)
            jump = rng.uniform(-1, 1, size=2) / 3
            slow = [draws.smooth(index, 9.0, _BREATH + axis) for axis in (0, 1)]
            moves.append((0.6 * (slow[0] + jump[0]), slow[1] + jump[1]))
        move = self.amount * 0.75 * torch.tensor(moves).to(clip)
        return shift(clip, move[:, 0, None, None], move[:, 1, None, None])

    def describe(self) -> str:
        """By its amount, up to 3 pixels."""
        return f"{level(self.amount, 0.0, 3.0)} shaking"


@dataclass(frozen=True)
class Grading(Operation):
    """Colours that have gone, or that a camera never got right.

    Per channel c: lift_c + (1 - lift_c) * gain_c * x_c^gamma; then the distance from grey times ``saturation``.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gamma: float = 1.0
    saturation: float = 1.0

    def degrade(self, clip: Tensor, draws: Draws) -> Tensor:
        """Grade every frame alike."""
        gain, lift = (torch.tensor(v).to(clip)[:, None, None] for v in (self.gain, self.lift))
        graded = lift + (1 - lift) * gain * clip.clamp(0, 1) ** self.gamma
        weights = torch.tensor((0.299, 0.587, 0.114)).to(clip)[:, None, None]
        grey = (graded * weights).sum(1, keepdim=True)
        return (grey + self.saturation * (graded - grey)).clamp(0, 1)

    def describe(self) -> str:
        """By the colour that is lost, up to all of it; dark pictures are said to be."""
        words = []
        if self.saturation < 0.97:
            words.append(f"{level(1 - self.saturation, 0.0, 1.0)} fading")
        if self.gamma > 1.1:
            words.append(f"{level(self.gamma, 1.0, 2.5)} darkening")
        return ", ".join(words)


def _speck(rng: np.random.Generator, size: float) -> NDArray[np.float64]:
    """A ragged spot: a disc whose radius waves with the angle, as a mask in [0,1]."""
    radius = max(size / 2, 0.5)
    reach = math.ceil(2 * radius) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle = np.arctan2(y, x)
    edge = np.full_like(angle, radius)
    for wave in range(1, 5):
        edge += radius * 0.35 / wave * rng.uniform(-1, 1) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    return np.clip(edge - np.hypot(x * rng.uniform(0.7, 1.4), y) + 0.5, 0.0, 1.0)


def _hair(rng: np.random.Generator, size: float) -> NDArray[np.float64]:
    """A thin curl of about ten times ``size``, as a mask in [0,1]."""
    length = size * rng.uniform(6, 14)
    steps = np.linspace(0, 1, max(int(2 * length), 8))
    bend = rng.uniform(0, 2 * np.pi) + rng.uniform(-3, 3) * steps + rng.uniform(-3, 3) * steps**2
    step = length / len(steps)
    xs, ys = np.cumsum(np.cos(bend)) * step, np.cumsum(np.sin(bend)) * step
    xs, ys = xs - xs.min() + 2, ys - ys.min() + 2
    y, x = np.mgrid[: math.ceil(ys.max()) + 3, : math.ceil(xs.max()) + 3]
    mask = np.zeros(x.shape)
    width = max(size / 8, 0.5)
    for px, py in zip(xs, ys, strict=True):
        near = np.s_[max(int(py) - 4, 0) : int(py) + 5, max(int(px) - 4, 0) : int(px) + 5]
        spot = np.clip(width + 0.5 - np.hypot(x[near] - px, y[near] - py), 0.0, 1.0)
        mask[near] = np.maximum(mask[near], spot)
    return mask
