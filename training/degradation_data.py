"""What the estimator of degradations learns from: short clips, spoilt by known chains, with what is left of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.degrade.chain import sample_clean, sample_light, sample_second_order
from ..core.degrade.estimator_truth import degrade_and_measure
from ..core.degrade.operations import (
    Blur,
    GaussianNoise,
    ImageCompression,
    Operation,
    PoissonNoise,
    Resize,
    SincBlur,
    VideoCompression,
)
from ..core.errors import SettingError
from ..core.video.reader import VideoReader

FRAMES, SEEN = 5, 3
"""Frames that are degraded, and neighbouring ones of them that the network sees: not always from a key frame on."""

SIDE = 256
"""Of the pictures before they are shrunk by 4, in pixels."""

HELD_OUT = (
    "Dragonfly", "aitzgorri", "life", "GreenMeadow", "cincinnati", "FallenLeaf", "coffee", "motorcycle", "Kite",
)  # fmt: skip
"""Photographs of ``sources`` with these words in their names are for testing, as is the last part of every film."""

SCALE = 4
_TRAINING_SPAN, _TESTING_SPAN = (0.02, 0.75), (0.79, 0.97)
_FLAT = 0.004
_MAX_DRAWS = 4
_CUT = 0.08


@dataclass(frozen=True)
class Example:
    """What the network learns from.

    Attributes:
        clip: (3,3,SIDE/4,SIDE/4) uint8: neighbouring frames, degraded.
        positions: (5,), see ``degrade_and_measure``.
    """

    clip: Tensor
    positions: Tensor


class Material:
    """Photographs and pieces of film in a folder, and random clips of them.

    Args:
        folder: png and jpg pictures, mp4 and mkv films.
        film_clips: how many pieces are taken from each film.
        testing: take what is held out, instead of the rest.

    Raises:
        SettingError: the folder holds neither.
    """

    def __init__(self, folder: Path, film_clips: int = 150, testing: bool = False) -> None:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        pictures = [path for path in files if path.suffix.lower() in {".png", ".jpg", ".jpeg"}]
        self._images = [
            _read_image(path) for path in pictures if any(word in path.name for word in HELD_OUT) == testing
        ]
        films = [path for path in files if path.suffix.lower() in {".mp4", ".mkv"}]
        span = _TESTING_SPAN if testing else _TRAINING_SPAN
        self._film = [clip for path in films for clip in _film_clips(path, film_clips, span)]
        if not (self._images or self._film):
            raise SettingError(f"Expected pictures or films in {folder}, got none; fetch or copy some there.")

    def draw(self, rng: np.random.Generator) -> Tensor:
        """A random clip (FRAMES,3,SIDE,SIDE) in [0,1], not flat if that can be helped."""
        for _ in range(_MAX_DRAWS):
            film = self._film and (not self._images or rng.random() < 0.35)
            clip = self._film_crop(rng) if film else self.pan(rng)
            if (clip[0, :, 1:] - clip[0, :, :-1]).abs().mean() > _FLAT:
                break
        return clip.flip(3) if rng.random() < 0.5 else clip

    def example(self, index: int, seed: int) -> Example:
        """Example number ``index``, which depends on the seed and on nothing else."""
        rng = np.random.default_rng((seed, index))
        clip, chain = self.draw(rng), sample_chain((SIDE, SIDE), rng)
        degraded, positions = degrade_and_measure(clip, chain, int(rng.integers(2**40)))
        first = int(rng.integers(0, FRAMES - SEEN + 1))
        return Example((degraded[first : first + SEEN].clamp(0, 1) * 255).round().byte(), positions)

    def _film_crop(self, rng: np.random.Generator) -> Tensor:
        clip = self._film[rng.integers(len(self._film))]
        top, left = (int(rng.integers(0, side - SIDE + 1)) for side in clip.shape[-2:])
        return clip[..., top : top + SIDE, left : left + SIDE].float() / 255

    @property
    def film(self) -> list[Tensor]:
        """The pieces of film, (FRAMES,3,H,W) uint8."""
        return self._film

    def pan(self, rng: np.random.Generator, side: int = SIDE, frames: int = FRAMES) -> Tensor:
        """A camera that moves evenly over a photograph, and shakes a little, or stands still: (frames,3,side,side)."""
        image = self._images[rng.integers(len(self._images))]
        height, width = image.shape[-2:]
        zoom = min(rng.uniform(1.0, 2.0), (min(height, width) - 1) / side)
        room = np.array([width - side * zoom, height - side * zoom]).clip(0)
        corner = room * rng.random(2)
        moving = rng.random() > 0.15
        pace, turn = rng.normal(0, 5, 2) * moving, rng.normal(0, 0.004) * moving
        shake = rng.normal(0, 0.8, (frames, 2)) * moving
        axis = torch.arange(side) - (side - 1) / 2
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        grids = []
        for t in range(frames):
            centre = corner + zoom * (side - 1) / 2 + pace * t + shake[t]
            cos, sin = zoom * np.cos(turn * t), zoom * np.sin(turn * t)
            across, down = cos * x - sin * y + centre[0], sin * x + cos * y + centre[1]
            grids.append(torch.stack((2 * across / (width - 1) - 1, 2 * down / (height - 1) - 1), dim=-1))
        source = image.float().div(255).expand(frames, -1, -1, -1)
        grid = torch.stack(grids).float()
        return F.grid_sample(source, grid, mode="bicubic", padding_mode="reflection", align_corners=True).clamp(0, 1)


def sample_chain(size: tuple[int, int], rng: np.random.Generator) -> list[Operation]:
    """A chain as the upscaler's training has them, or one in which every kind comes at every strength.

    Args:
        size: (height, width) of the picture, both divisible by 4.
        rng: decides everything.
    """
    kind = rng.random()
    if kind < 0.04:
        return sample_clean(size)
    if kind < 0.22:
        return sample_light(size, rng)
    if kind < 0.28:
        return sample_second_order(size, rng)
    return sample_spread(size, rng)


def sample_spread(size: tuple[int, int], rng: np.random.Generator) -> list[Operation]:
    """Each kind of degradation with a chance of about one half, evenly spread over its range and a little beyond."""
    small = (size[0] // SCALE, size[1] // SCALE)
    chain: list[Operation] = [_blur(rng)] if rng.random() < 0.7 else []
    mode = str(rng.choice(("area", "bilinear", "bicubic"), p=(0.25, 0.15, 0.6)))
    if rng.random() < 0.4:
        chain += _upscaled(small, mode, rng)
    else:
        chain.append(Resize(small, mode, "downsample"))
    late: list[Operation] = [_noise(rng)] if rng.random() < 0.65 else []
    if rng.random() < 0.65:
        late.append(ImageCompression(rng.uniform(18, 97)))
    if rng.random() < 0.5:
        late.append(_video(rng))
    if len(late) > 1 and rng.random() < 0.4:
        late = [late[i] for i in rng.permutation(len(late))]
    return [*chain, *late]


def _blur(rng: np.random.Generator) -> Operation:
    if rng.random() < 0.12:
        return SincBlur(2 * int(rng.integers(5, 11)) + 1, rng.uniform(0.3, 1.2))
    sigma = rng.uniform(0.2, 3.6)
    ratio = 1.0 if rng.random() < 0.6 else rng.uniform(1.0, 1.6)
    size = 2 * int(np.ceil(3 * sigma * ratio)) + 1
    return Blur("aniso", size, (sigma * ratio, sigma / ratio), rng.uniform(-np.pi, np.pi))


def _upscaled(small: tuple[int, int], mode: str, rng: np.random.Generator) -> list[Operation]:
    """A picture that was smaller once, perhaps noisy and compressed at that size, and was enlarged."""
    factor = rng.uniform(1.25, 4.3)
    lost = (2 * max(8, round(small[0] / factor / 2)), 2 * max(8, round(small[1] / factor / 2)))
    chain: list[Operation] = [Resize(lost, mode, "downsample")]
    if rng.random() < 0.3:
        chain.append(GaussianNoise(rng.uniform(1, 12), bool(rng.random() < 0.4)))
    if rng.random() < 0.3:
        chain.append(_video(rng))
    return [*chain, Resize(small, str(rng.choice(("bilinear", "bicubic"))), "upsample")]


def _noise(rng: np.random.Generator) -> Operation:
    grey = bool(rng.random() < 0.4)
    if rng.random() < 0.6:
        return GaussianNoise(rng.uniform(0.5, 42), grey)
    return PoissonNoise(rng.uniform(0.05, 4.2), grey)


def _video(rng: np.random.Generator) -> Operation:
    codec = str(rng.choice(("libx264", "mpeg4", "mpeg2video"), p=(0.7, 0.15, 0.15)))
    if codec == "libx264":
        return VideoCompression(codec, crf=rng.uniform(15, 40))
    return VideoCompression(codec, bits_per_pixel=float(np.exp(rng.uniform(np.log(0.1), np.log(1.5)))))


def _read_image(path: Path) -> Tensor:
    from PIL import Image

    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)  # (H,W,C) -> (C,H,W)


def _film_clips(path: Path, count: int, span: tuple[float, float]) -> list[Tensor]:
    """Cut-free pieces of a film, evenly spread over a part of it, (FRAMES,3,H,W) uint8; large films at half size."""
    with VideoReader(path) as reader:
        length, rate = float(reader.info.duration or 0), float(reader.info.frame_rate)
    seconds, clips = (FRAMES + 2) / rate, []
    for start in np.linspace(span[0] * length, max(span[1] * length - seconds, 0), count):
        clip = read_clip(path, float(start), seconds)
        if clip is not None:
            clips.append((clip * 255).round().byte())
    return clips


def read_clip(path: Path, start: float, seconds: float) -> Tensor | None:
    """The first FRAMES frames from ``start`` on, (FRAMES,3,H,W); None if they are fewer, flat, small or hold a cut."""
    with VideoReader(path, start=start, duration=seconds) as reader:
        frames: Sequence[Tensor] = [frame.image for frame in reader][:FRAMES]
    if len(frames) < FRAMES:
        return None
    clip = torch.stack(list(frames))
    if min(clip.shape[-2:]) >= 2 * SIDE:
        clip = F.interpolate(clip, scale_factor=0.5, mode="area")
    changes = (clip[1:] - clip[:-1]).abs().mean(dim=(1, 2, 3))
    usable = changes.max() < _CUT and clip.std() > 0.05 and min(clip.shape[-2:]) >= SIDE
    return clip if usable else None
