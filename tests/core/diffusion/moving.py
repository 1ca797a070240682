"""A clip whose motion is known: waves that slide and grow, and a sampler that invents detail for each frame alone."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.models.warp import warp

FRAMES, CHANNELS, HEIGHT, WIDTH = 8, 4, 32, 40
_STEP, _ZOOM = (1.3, 0.6), 1.01


def moving_clip() -> tuple[Tensor, ClipMotion]:
    """Frames (T,C,h,w) of unit deviation and their true motion."""
    generator = torch.Generator().manual_seed(0)
    waves = 2 * torch.rand(40, 2, generator=generator) - 1
    waves *= (0.05 + 1.6 * torch.rand(40, 1, generator=generator) ** 2) / waves.norm(dim=1, keepdim=True)
    phase = 6.3 * torch.rand(40, CHANNELS, generator=generator)
    strength = torch.randn(40, CHANNELS, generator=generator) / (1 + 6 * waves.norm(dim=1, keepdim=True))
    frames = []
    for t in range(FRAMES):
        x, y = _scene(t)
        angle = waves[:, 0, None, None] * x + waves[:, 1, None, None] * y
        frames.append((strength[..., None, None] * (angle[:, None] + phase[..., None, None]).sin()).sum(dim=0))
    clip = torch.stack(frames)
    forward = torch.stack([_flow(i, i + 1) for i in range(FRAMES - 1)])
    backward = torch.stack([_flow(i + 1, i) for i in range(FRAMES - 1)])
    return clip / clip.std(), ClipMotion(forward, backward, _outside(forward), _outside(backward))


def sample_alone(clip: Tensor, guide: Callable[[Tensor, float], Tensor], detail: float, seed: int = 0) -> Tensor:
    """Euler steps with each frame's own posterior mean: detail of this deviation around the blurred clip.

    Its frames are blurred + detail * noise of their own; ``guide`` sees every prediction and its sigma.
    """
    small = F.interpolate(clip, scale_factor=0.5, mode="area")
    blurred = F.interpolate(small, scale_factor=2, mode="bicubic")
    sigmas = [*(torch.linspace(14.6 ** (1 / 7), 0.03 ** (1 / 7), 12) ** 7).tolist(), 0.0]
    x = blurred + sigmas[0] * torch.randn(clip.shape, generator=torch.Generator().manual_seed(seed))
    for sigma, after in pairwise(sigmas):
        known = detail**2 / (detail**2 + sigma**2)
        denoised = guide(blurred + known * (x - blurred), sigma)
        x = denoised + (x - denoised) * (after / sigma)
    return x


def warping_error(clip: Tensor, motion: ClipMotion) -> float:
    """Mean squared difference of a frame and the one before it, moved along, where it is seen."""
    seen = 1 - motion.backward_occluded
    difference = (warp(clip[:-1], motion.backward_flow) - clip[1:]) ** 2
    return float((difference * seen).sum() / (seen.sum() * clip.shape[1]))


def sharpness(clip: Tensor) -> float:
    """Mean deviation of the Laplacian over frames and channels."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    return float(F.conv2d(clip.flatten(0, 1)[:, None], kernel).std(dim=(1, 2, 3)).mean())


def _scene(t: int) -> tuple[Tensor, Tensor]:
    """Where in the scene the pixels of frame t are."""
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    size = math.pow(_ZOOM, t)
    return (x - WIDTH / 2) / size + _STEP[0] * t, (y - HEIGHT / 2) / size + _STEP[1] * t


def _flow(i: int, j: int) -> Tensor:
    """flow(i -> j): where frame i's pixels are in frame j, (2,h,w)."""
    (x, y), size = _scene(i), math.pow(_ZOOM, j)
    there = (x - _STEP[0] * j) * size + WIDTH / 2, (y - _STEP[1] * j) * size + HEIGHT / 2
    columns, rows = torch.arange(WIDTH).float(), torch.arange(HEIGHT).float()[:, None]
    return torch.stack([there[0] - columns, there[1] - rows])


def _outside(flow: Tensor) -> Tensor:
    x, y = flow[:, :1] + torch.arange(WIDTH), flow[:, 1:] + torch.arange(HEIGHT)[:, None]
    return ((x < 0) | (x > WIDTH - 1) | (y < 0) | (y > HEIGHT - 1)).float()
