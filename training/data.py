"""Training clips: animated photographs and cut-free pieces of film, degraded on the fly.

An animated photograph moves under a smooth random homography, with up to two sprites (pieces of other photographs or
lines of text) moving across it on paths of their own, so that flow has edges and occlusions to learn from.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ..core.degrade.chain import (
    apply_chain,
    describe_chain,
    sample_clean,
    sample_light,
    sample_second_order,
)
from ..core.errors import SettingError
from ..core.video.reader import VideoReader

log = logging.getLogger(__name__)

CUT_DIFFERENCE = 0.08
"""Mean absolute difference of neighbouring frames above which a training clip is thought to hold a cut."""

FLAT_GRADIENT = 0.012
"""Mean vertical gradient below which a clip is thought to be flat, and drawn again up to ``MAX_DRAWS`` times."""

MAX_DRAWS = 3


@dataclass(frozen=True)
class ClipConfig:
    """What the clips are like.

    Attributes:
        frames: frames a clip.
        size: side of the square HR clip in pixels; LR is a quarter of it.
        film: share of clips taken from film rather than animated photographs.
        clean: share of clips only shrunk.
        light: share of clips with the light chain; the rest get the second-order chain.
        text: share of clips that come with their degradation text; the others come without any.
    """

    frames: int = 7
    size: int = 256
    film: float = 0.25
    clean: float = 0.2
    light: float = 0.45
    text: float = 0.5


@dataclass(frozen=True)
class Sample:
    """A training pair: hr (T,3,4H,4W), lr (T,3,H,W), both [0,1], and its prompt."""

    hr: Tensor
    lr: Tensor
    prompt: str


class ClipDataset(Dataset[Sample]):
    """Endless random clips from a folder of images (png, jpg) and videos (mp4, mkv).

    Clip i depends on the seed and on i alone, so that a resumed training sees what an uninterrupted one would.

    Raises:
        SettingError: the folder holds no image.
    """

    def __init__(self, folder: Path, config: ClipConfig, seed: int = 0, film_clips: int = 120) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
        if not paths:
            raise SettingError(f"Expected images (png, jpg) in {folder}, got none; fetch or copy some there.")
        self.images = [_read_image(path) for path in paths]
        self.weights = np.array([math.sqrt(image[0].numel()) for image in self.images])
        self.weights /= self.weights.sum()
        videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".mp4", ".mkv"})
        self.film = [clip for path in videos for clip in _film_clips(path, config, film_clips // len(videos))]

    def __getitem__(self, index: int) -> Sample:
        return self.sample(np.random.default_rng((self.seed, index)))

    def sample(self, rng: np.random.Generator) -> Sample:
        """One pair, a pure function of the state of ``rng``."""
        config = self.config
        for _ in range(MAX_DRAWS):
            hr = self._draw(rng)
            if (hr[0, :, 1:] - hr[0, :, :-1]).abs().mean() > FLAT_GRADIENT:
                break
        size = (config.size, config.size)
        kind = rng.random()
        if kind < config.clean:
            chain = sample_clean(size)
        elif kind < config.clean + config.light:
            chain = sample_light(size, rng)
        else:
            chain = sample_second_order(size, rng)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        prompt = describe_chain(chain) if rng.random() < config.text else ""
        return Sample(hr, apply_chain(hr, chain, generator).clamp(0, 1), prompt)

    def _draw(self, rng: np.random.Generator) -> Tensor:
        if self.film and rng.random() < self.config.film:
            return _crop_film(self.film[rng.integers(len(self.film))], self.config, rng)
        return self._animated(rng)

    def _animated(self, rng: np.random.Generator) -> Tensor:
        size, frames = self.config.size, self.config.frames
        clip = _move(self._pick(rng), size, frames, rng)
        for _ in range(rng.integers(0, 3)):
            layer = _move(self._pick(rng), size, frames, rng)
            mask = _move(_sprite_mask(rng), size, frames, rng)[:, :1]
            clip = torch.lerp(clip, layer, mask)
        if rng.random() < 0.5:
            clip = clip.flip(3)
        return clip.clamp(0, 1)

    def _pick(self, rng: np.random.Generator) -> Tensor:
        return self.images[rng.choice(len(self.images), p=self.weights)]


def _read_image(path: Path) -> Tensor:
    from PIL import Image

    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)  # (H,W,C) -> (C,H,W)


def _random_path(frames: int, rng: np.random.Generator) -> Tensor:
    """A smooth path of homographies, (T,3,3), in pixels about the crop's centre; sometimes standing still."""
    time = np.linspace(-1, 1, frames)
    still = rng.random() < 0.15

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


def _move(image: Tensor, size: int, frames: int, rng: np.random.Generator) -> Tensor:
    """View a random place of a picture (C,H,W) through a random camera path: (T,C,size,size), bicubic."""
    height, width = image.shape[-2:]
    path = _random_path(frames, rng)
    place = rng.random(2)
    margin = min(size // 2, height // 2, width // 2)
    cx = margin + place[0] * max(width - 2 * margin, 0)
    cy = margin + place[1] * max(height - 2 * margin, 0)
    axis = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=-1)  # (S,S,3)
    moved = torch.einsum("tij,hwj->thwi", path, points)
    moved = moved[..., :2] / moved[..., 2:]
    grid = torch.stack(
        (2 * (moved[..., 0] + cx) / (width - 1) - 1, 2 * (moved[..., 1] + cy) / (height - 1) - 1), dim=-1
    )
    source = image.float().div(255).expand(path.shape[0], -1, -1, -1)
    return F.grid_sample(source, grid, mode="bicubic", padding_mode="reflection", align_corners=True).clamp(0, 1)


def _sprite_mask(rng: np.random.Generator) -> Tensor:
    """A white shape or a line of text on black, (3,512,512) uint8, its edge one pixel soft."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (512, 512))
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.4:
        letters = "".join(chr(rng.integers(33, 123)) for _ in range(rng.integers(2, 14)))
        font = ImageFont.load_default(float(rng.uniform(16, 90)))
        for row in range(rng.integers(1, 6)):
            draw.text((40, 60 + 90 * row), letters, fill=255, font=font)
    else:
        count = int(rng.integers(3, 9))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        radii = rng.uniform(30, 180, count)
        points = [(256 + r * math.cos(a), 256 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
        draw.polygon(points, fill=255)
    return torch.from_numpy(np.asarray(image).copy()).expand(3, -1, -1)


def _film_clips(path: Path, config: ClipConfig, count: int) -> list[Tensor]:
    """Evenly spread cut-free clips of a film at half its size, (T,3,H,W) uint8."""
    with VideoReader(path) as reader:
        length = float(reader.info.duration or 0)
    clips = []
    seconds = (config.frames + 2) / 24
    for start in np.linspace(0.02 * length, max(min(0.97 * length, length - seconds), 0), count):
        with VideoReader(path, start=float(start), duration=seconds) as reader:
            frames = [frame.image for frame in reader][: config.frames]
        if len(frames) < config.frames:
            continue
        clip = F.interpolate(torch.stack(frames), scale_factor=0.5, mode="area")
        difference = (clip[1:] - clip[:-1]).abs().mean(dim=(1, 2, 3)).max()
        if difference < CUT_DIFFERENCE and clip.std() > 0.08 and min(clip.shape[-2:]) >= config.size:
            clips.append((clip * 255).round().byte())
    log.info("%d clips from %s", len(clips), path.name)
    return clips


def _crop_film(clip: Tensor, config: ClipConfig, rng: np.random.Generator) -> Tensor:
    top = int(rng.integers(0, clip.shape[-2] - config.size + 1))
    left = int(rng.integers(0, clip.shape[-1] - config.size + 1))
    hr = clip[..., top : top + config.size, left : left + config.size].float() / 255
    return hr.flip(3) if rng.random() < 0.5 else hr
