"""What a folder holds to train on: photographs, films and the captions beside them."""

import logging
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import SettingError
from .config import ClipConfig, MaterialConfig, RunConfig
from .film import FilmClip, film_clips, read_caption

log = logging.getLogger(__name__)

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FILMS = (
    ".mp4",
    ".mkv",
    ".mov",
    ".avi",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".m2ts",
    ".wmv",
    ".vob",
    ".dv",
)

LEAST_TO_SPLIT = 4
"""Photographs, or pieces of film, of which none is held back if there are fewer."""

CACHED_BYTES = 256 << 20
"""Decoded photographs kept in the memory of each data process."""


@dataclass(frozen=True)
class Picture:
    """A photograph.

    Attributes:
        path: the file.
        pixels: how many it has as it is used.
        caption: what is to be seen; may be empty.
    """

    path: Path
    pixels: int
    caption: str


@dataclass
class Material:
    """Photographs and pieces of film; photographs are decoded when they are asked for.

    Attributes:
        pictures: the photographs.
        film: the pieces of film.
        longest_side: larger photographs are shrunk to it.
    """

    pictures: list[Picture]
    film: list[FilmClip]
    longest_side: int = MaterialConfig.longest_side
    _decoded: "OrderedDict[Path, Tensor]" = field(default_factory=OrderedDict, repr=False)

    def weights(self) -> np.ndarray:
        """How often each photograph is drawn: by the square root of its size; sums to 1."""
        roots = np.array([math.sqrt(picture.pixels) for picture in self.pictures])
        return roots / roots.sum()

    def decode(self, picture: Picture) -> Tensor:
        """The pixels, (3,H,W) uint8; the last ones asked for stay in memory, up to ``CACHED_BYTES``."""
        if picture.path in self._decoded:
            self._decoded.move_to_end(picture.path)
            return self._decoded[picture.path]
        image = read_image(picture.path, self.longest_side)
        self._decoded[picture.path] = image
        while sum(other.numel() for other in self._decoded.values()) > CACHED_BYTES and len(self._decoded) > 1:
            self._decoded.popitem(last=False)
        return image

    def split(self, share: float) -> "tuple[Material, Material]":
        """To train on, and to hold back: every n-th photograph and piece of film, at least one where there are four."""
        if share <= 0:
            return self, Material([], [], self.longest_side)
        parts: list[list[Any]] = []
        for items in (self.pictures, self.film):
            n = max(2, min(round(1 / share), len(items))) if len(items) >= LEAST_TO_SPLIT else len(items) + 1
            parts += [[x for i, x in enumerate(items) if i % n != n - 1], items[n - 1 :: n]]
        pictures, held_pictures, film, held_film = parts
        return Material(pictures, film, self.longest_side), Material(held_pictures, held_film, self.longest_side)

    def sources(self) -> list[str]:
        """The names of all files, for a checkpoint's header."""
        return sorted({picture.path.name for picture in self.pictures} | {clip.source for clip in self.film})

    def __bool__(self) -> bool:
        return bool(self.pictures or self.film)


def open_folder(folder: Path, clips: ClipConfig, config: MaterialConfig, cache: Path) -> Material:
    """Find everything in a folder and all below it, but for what is hidden (a name that begins with a dot).

    Args:
        folder: of photographs and films, with captions beside them (.txt, .vtt).
        clips: what the clips are to be like.
        config: what to take.
        cache: where pieces of film are kept.

    Raises:
        SettingError: there is no such folder, or nothing in it that can be used.
    """
    if not folder.is_dir():
        raise SettingError(f"Expected a folder of images and videos at {folder}, got none; correct the path.")
    pictures = [_picture(path, config) for path in find_files(folder, PICTURES)]
    films = find_files(folder, FILMS)
    film: list[FilmClip] = []
    share = config.film_clips // max(len(films), 1) + (config.film_clips % max(len(films), 1) > 0)
    size = config.film_gigabytes * 1e9
    for path in films:
        if len(film) < config.film_clips and size > 0:
            new = film_clips(path, clips, config, cache, min(share, config.film_clips - len(film)))
            size -= sum(clip.file.stat().st_size for clip in new)
            film += new
    material = Material(pictures, film, config.longest_side)
    if not material:
        raise SettingError(
            f"Expected images ({', '.join(PICTURES)}) or videos ({', '.join(FILMS[:4])}, ...) in {folder}, got none "
            "that can be used; fetch or copy some there."
        )
    return material


def find_material(config: RunConfig) -> tuple[Material, Material]:
    """What a run trains on, and what it looks at."""
    cache = config.output / "film"
    material = open_folder(config.data, config.clips, config.material, cache)
    if config.validation.data is not None:
        return material, open_folder(config.validation.data, config.clips, config.material, cache)
    return material.split(config.material.held_out if config.validation.every else 0.0)


def find_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files with one of these suffixes, sorted; hidden files and folders are passed over."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_image(path: Path, longest_side: int) -> Tensor:
    """A photograph, upright, (3,H,W) uint8 RGB; one with a longer side than that is shrunk.

    Raises:
        SettingError: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise SettingError(f"Expected a picture in {path}, got what cannot be read: {error}; remove it.") from error
    if max(upright.size) > longest_side:
        upright.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(upright).copy()).permute(2, 0, 1)  # (H,W,C) -> (C,H,W)


def _picture(path: Path, config: MaterialConfig) -> Picture:
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise SettingError(f"Expected a picture in {path}, got what cannot be read: {error}; remove it.") from error
    shrink = min(1.0, config.longest_side / max(width, height))
    return Picture(path, max(1, round(width * height * shrink**2)), read_caption(path).at(0.0))
