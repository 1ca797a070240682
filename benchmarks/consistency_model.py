"""The stand-in for a diffusion model in benchmarks/consistency.py: it knows how strong detail is and guesses its signs.

Latents are the pixels themselves, in an orthonormal colour space, centred, of unit deviation: nothing is lost on the
way there and back. The prior of a frame is independent in every coefficient c of an orthonormal 4x4 block DCT: the
low-resolution picture, plus or minus d, where d is the deviation, over 3x3 blocks, of what that picture lacks of the
true one. The denoiser is the exact posterior mean behind noise of deviation sigma (or, ``gaussian``, that of a normal
prior of deviation d), with u = DCT(x - low)::

    D(x, sigma) = low + DCT^-1( d tanh(d u / sigma^2) ),   or  low + DCT^-1( d^2 / (d^2 + sigma^2) u )

Sampled with noise of their own, frames are sharp and none guesses like the next one. A ``Video`` has one guess for a
whole window: its detail moves along, so that u is summed over the window's frames along the motion.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.diffusion.schedules import respaced, trained_schedule
from textovsr.core.diffusion.steering import MotionSteering
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.motion.config import MotionConfig
from textovsr.core.motion.flow import Flow, find_clip_motion
from textovsr.core.motion.networks import load_spynet
from textovsr.core.quality.flow import find_flow
from textovsr.core.quality.temporal import Motion, find_motion
from textovsr.models.warp import warp

SCALE = 4
"""The true picture has this many times the sides of the low-resolution one."""

_BLOCK = 4

Prior = Literal["two-point", "gaussian"]
Denoise = Callable[[Tensor, float], Tensor]
"""Noisy latents (T,3,H,W) and their sigma -> what is behind the noise."""


@dataclass(frozen=True)
class Scene:
    """A clip and how it moves.

    Attributes:
        true: (T,3,H,W) in [0,1].
        low: what is known of it, brought back to its size.
        motion: found in ``low`` by the shipped network: what guidance has.
        truth: found in ``true`` without a network: what is measured by.
    """

    true: Tensor
    low: Tensor
    motion: ClipMotion
    truth: list[Motion]


def make_scene(true: Tensor) -> Scene:
    """Everything that is derived from a clip (T,3,H,W) in [0,1], sides divisible by 4."""
    small = F.avg_pool2d(true, SCALE)
    low = F.interpolate(small, scale_factor=SCALE, mode="bicubic").clamp(0, 1)
    flow = Flow(load_spynet(), torch.device("cpu"))
    size = (true.shape[-2], true.shape[-1])
    return Scene(true, low, find_clip_motion(low, size, flow, MotionConfig()), find_motion(true, find_flow))


class Codec:
    """There and back between frames and latents; exact but for the clamp."""

    def __init__(self, clip: Tensor) -> None:
        colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
        self._colours = colours / colours.norm(dim=1, keepdim=True)
        plain = self._turned(clip)
        self._mean, self._deviation = plain.mean(), plain.std()

    def encode(self, clip: Tensor) -> Tensor:
        """(T,3,H,W) in [0,1] -> latents of the same shape."""
        return (self._turned(clip) - self._mean) / self._deviation

    def decode(self, latents: Tensor) -> Tensor:
        """Latents -> (T,3,H,W) in [0,1]."""
        plain = latents * self._deviation + self._mean
        return torch.einsum("ji,tjhw->tihw", self._colours, plain).clamp(0, 1)

    def _turned(self, clip: Tensor) -> Tensor:
        return torch.einsum("ij,tjhw->tihw", self._colours, clip)


class Alone:
    """Every frame for itself.

    Args:
        low: latents of the low-resolution clip, (T,3,H,W).
        spread: d, (T,3,4,4,H/4,W/4).
        prior: see the module.
    """

    def __init__(self, low: Tensor, spread: Tensor, prior: Prior) -> None:
        self._low, self._spread, self._prior = low, spread, prior

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See ``Denoise``."""
        return self._posterior(x - self._low, 1, sigma)

    def _posterior(self, summed: Tensor, count: Tensor | int, sigma: float) -> Tensor:
        """From the sum of ``count`` observations of one detail."""
        d, u = self._spread, _dct(summed)
        if self._prior == "two-point":
            return self._low + _inverse_dct(d * torch.tanh(d * u / sigma**2))
        counts = _dct(torch.ones_like(summed) * count)[:, :, :1, :1] / _BLOCK
        return self._low + _inverse_dct(d**2 / (counts * d**2 + sigma**2) * u)


class Video(Alone):
    """A window whose detail is one, moving along ``motion``."""

    def __init__(self, low: Tensor, spread: Tensor, prior: Prior, motion: ClipMotion) -> None:
        super().__init__(low, spread, prior)
        self._motion = motion

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See ``Denoise``."""
        seen = F.pad(x - self._low, (0, 0, 0, 0, 0, 1), value=1.0)  # the last channel counts
        before, after = [seen[:1]], [seen[-1:]]
        motion = self._motion
        for i in range(len(x) - 1):
            moved = warp(before[-1], motion.backward_flow[i : i + 1], "border")
            before.append(seen[i + 1 : i + 2] + (1 - motion.backward_occluded[i : i + 1]) * moved)
        for i in reversed(range(len(x) - 1)):
            moved = warp(after[-1], motion.forward_flow[i : i + 1], "border")
            after.append(seen[i : i + 1] + (1 - motion.forward_occluded[i : i + 1]) * moved)
        summed = torch.cat(before) + torch.cat(after[::-1]) - seen
        return self._posterior(summed[:, :-1], summed[:, -1:], sigma)


@dataclass(frozen=True)
class Model:
    """The prior of a whole scene, to be looked at in windows."""

    codec: Codec
    low: Tensor
    spread: Tensor
    motion: ClipMotion
    prior: Prior

    def alone(self, place: range) -> Alone:
        """Of the frames in ``place``, each for itself."""
        part = slice(place.start, place.stop)
        return Alone(self.low[part], self.spread[part], self.prior)

    def video(self, place: range) -> Video:
        """Of the frames in ``place``, as one."""
        part = slice(place.start, place.stop)
        return Video(self.low[part], self.spread[part], self.prior, self.motion.frames(place.start, place.stop))


def make_model(scene: Scene, prior: Prior) -> Model:
    """The prior that fits a scene."""
    codec = Codec(scene.true)
    low = codec.encode(scene.low)
    squares = _dct(codec.encode(scene.true) - low).square()
    mean = F.avg_pool2d(squares.flatten(1, 3), 3, stride=1, padding=1, count_include_pad=False)
    return Model(codec, low, mean.view_as(squares).sqrt(), scene.motion, prior)


def sample(
    denoise: Denoise, noise: Tensor, steps: int, own: torch.Generator | None, steering: MotionSteering | None
) -> Tensor:
    """Stable Diffusion's noise levels, evenly spread, from pure noise to clean latents.

    Args:
        denoise: predicts clean latents.
        noise: of unit deviation, the latents' shape.
        steps: made.
        own: draws the noise of each step of DDPM (Ho et al., 2020, algorithm 2); without it, Euler's method.
        steering: what is done between the steps, as the nodes do it.
    """
    sigmas = [*reversed(respaced(trained_schedule(), steps).sigmas.tolist()), 0.0]
    x = noise * math.sqrt(1 + sigmas[0] ** 2)
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        clean = denoise(x, sigma)
        if steering is not None:
            clean = steering.denoised(clean, step, sigma)
        fresh = after * math.sqrt(sigma**2 - after**2) / sigma if own is not None else 0.0
        x = clean + (x - clean) * (math.sqrt(after**2 - fresh**2) / sigma)
        if fresh:
            x = x + fresh * torch.randn(x.shape, generator=own)
        if steering is not None:
            x = steering.stepped(x, step, (sigma, after))
    return x


def _basis() -> Tensor:
    place = torch.arange(_BLOCK)
    waves = torch.cos(math.pi * (2 * place + 1) * place[:, None] / (2 * _BLOCK))
    return waves / waves.norm(dim=1, keepdim=True)


def _dct(x: Tensor) -> Tensor:
    """(T,C,H,W) -> (T,C,4,4,H/4,W/4)."""
    t, c, h, w = x.shape
    blocks = x.reshape(t, c, h // _BLOCK, _BLOCK, w // _BLOCK, _BLOCK)
    return torch.einsum("ai,bj,tcyixj->tcabyx", _basis(), _basis(), blocks)


def _inverse_dct(y: Tensor) -> Tensor:
    """(T,C,4,4,H/4,W/4) -> (T,C,H,W)."""
    blocks = torch.einsum("ai,bj,tcabyx->tcyixj", _basis(), _basis(), y)
    return blocks.reshape(*y.shape[:2], y.shape[-2] * _BLOCK, y.shape[-1] * _BLOCK)
