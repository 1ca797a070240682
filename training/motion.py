"""Animated photographs: a smooth camera over picture planes at several depths, with things that move on their own.

The camera path is a random homography a frame (shift, turn, zoom, perspective, shake). Planes cut out by soft blobs
shift with the same camera, the nearer the faster, so that flow has edges, occlusions and parallax to learn from;
sprites follow paths of their own. Every function is a pure function of the state of ``rng``.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .config import ClipConfig
from .lettering import lettering

MASK = 512
"""Side of a mask in pixels."""

_STILL = 0.15  # share of cameras and sprites that stand still


def animate(pick: Callable[[], Tensor], config: ClipConfig, rng: np.random.Generator) -> Tensor:
    """A clip of photographs in motion.

    Args:
        pick: draws a photograph, (3,H,W) uint8, from the same ``rng``.
        config: frames, size and the share of lettering.
        rng: what decides everything.

    Returns:
        (T,3,size,size) in [0,1].
    """
    size = config.size
    camera = random_path(config.frames, rng)
    picture = pick()
    clip = view(picture, camera, _place(picture, size, rng), size)
    nearness = 0.0
    for _ in range(rng.integers(0, 3)):  # planes of the same picture, nearer and nearer
        nearness += rng.uniform(0.2, 0.7)
        path = nearer(camera, nearness)
        clip = _put(
            clip, view(picture, path, _place(picture, size, rng), size), _mask_view(_blobs(rng), path, rng, size)
        )
    for _ in range(rng.integers(0, 3)):
        path, sprite = random_path(config.frames, rng), pick()
        clip = _put(
            clip, view(sprite, path, _place(sprite, size, rng), size), _mask_view(_polygon(rng), path, rng, size)
        )
    if rng.random() < config.lettering:
        clip = _write(clip, camera, rng, size)
    if rng.random() < 0.5:
        clip = clip.flip(3)
    return clip.clamp(0, 1)


def random_path(frames: int, rng: np.random.Generator) -> Tensor:
    """A smooth path of homographies, (T,3,3), in pixels about the crop's centre; sometimes standing still."""
    time = np.linspace(-1, 1, frames) if frames > 1 else np.zeros(1)
    still = rng.random() < _STILL

    def drift(speed: float) -> np.ndarray:
        return np.zeros(frames) if still else rng.normal(0, speed) * time + rng.normal(0, speed / 3) * time**2

    angle, zoom = rng.normal(0, 0.05) + drift(0.03), np.exp(rng.normal(-0.1, 0.1) + drift(0.03))
    x, y = drift(frames * 2.0), drift(frames * 2.0)
    shake = rng.normal(0, rng.uniform(0, 1.5), (2, frames)) * (not still)
    matrix = np.zeros((frames, 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = np.cos(angle) * zoom
    matrix[:, 1, 0] = np.sin(angle) * zoom
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, 0, 2], matrix[:, 1, 2], matrix[:, 2, 2] = x + shake[0], y + shake[1], 1.0
    matrix[:, 2, 0], matrix[:, 2, 1] = drift(1e-4), drift(1e-4)
    return torch.from_numpy(matrix).float()


def nearer(path: Tensor, nearness: float) -> Tensor:
    """What the same camera does to a plane in front: its shifts are 1 + ``nearness`` times as large."""
    path = path.clone()
    path[:, :2, 2] *= 1 + nearness
    return path


def view(image: Tensor, path: Tensor, centre: tuple[float, float], size: int, padding: str = "reflection") -> Tensor:
    """Look at a picture through a camera path.

    Args:
        image: (C,H,W) uint8.
        path: (T,3,3); a pixel (x,y) of the view, from its centre, reads ``image`` at path * (x,y,1) + centre.
        centre: x, y in pixels of ``image``.
        size: side of the view.
        padding: of ``grid_sample``.

    Returns:
        (T,C,size,size) in [0,1], bicubic.
    """
    height, width = image.shape[-2:]
    axis = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=-1)  # (S,S,3)
    moved = torch.einsum("tij,hwj->thwi", path, points)
    moved = moved[..., :2] / moved[..., 2:]
    grid = torch.stack(
        (2 * (moved[..., 0] + centre[0]) / (width - 1) - 1, 2 * (moved[..., 1] + centre[1]) / (height - 1) - 1), dim=-1
    )
    source = image.float().div(255).expand(path.shape[0], -1, -1, -1)
    return F.grid_sample(source, grid, mode="bicubic", padding_mode=padding, align_corners=True).clamp(0, 1)


def _place(image: Tensor, size: int, rng: np.random.Generator) -> tuple[float, float]:
    height, width = image.shape[-2:]
    margin = min(size // 2, height // 2, width // 2)
    across, down = rng.random(2)
    return margin + across * max(width - 2 * margin, 0), margin + down * max(height - 2 * margin, 0)


def _mask_view(mask: Tensor, path: Tensor, rng: np.random.Generator, size: int) -> Tensor:
    return view(mask, path, _place(mask, size, rng), size, padding="zeros")


def _put(clip: Tensor, layer: Tensor, mask: Tensor) -> Tensor:
    return torch.lerp(clip, layer, mask)


def _write(clip: Tensor, camera: Tensor, rng: np.random.Generator, size: int) -> Tensor:
    """Lines of text over it: a sign that goes with the camera, a title on a path of its own, or a still subtitle."""
    color, mask = lettering(MASK, rng)
    kind = rng.random()
    path = camera if kind < 0.4 else random_path(camera.shape[0], rng)
    if kind > 0.7:
        path = torch.eye(3).repeat(camera.shape[0], 1, 1)
    centre = _place(mask, size, rng)
    return _put(
        clip, view(color, path, centre, size, padding="border"), view(mask, path, centre, size, padding="zeros")
    )


def _blobs(rng: np.random.Generator) -> Tensor:
    """A smooth random outline, (1,512,512) uint8, its edge a few pixels soft: what stands in front."""
    cells = int(rng.integers(4, 12))
    coarse = torch.from_numpy(rng.normal(size=(1, 1, cells, cells))).float()
    field = F.interpolate(coarse, size=(MASK, MASK), mode="bicubic", align_corners=True)[0]
    steepness = MASK / cells * rng.uniform(0.5, 4)
    return (torch.sigmoid((field - rng.uniform(0.2, 0.9)) * steepness) * 255).round().byte()


def _polygon(rng: np.random.Generator) -> Tensor:
    """A white shape with corners on black, (1,512,512) uint8."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (MASK, MASK))
    count = int(rng.integers(3, 9))
    angles, radii = np.sort(rng.uniform(0, 2 * np.pi, count)), rng.uniform(30, 180, count)
    middle = MASK / 2
    points = [(middle + r * math.cos(a), middle + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    ImageDraw.Draw(image).polygon(points, fill=255)
    return torch.from_numpy(np.asarray(image).copy())[None]
