"""Pieces of film without cuts, decoded once and kept on the disk, so that no film sits in memory."""

import hashlib
import itertools
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.config import CUT_THRESHOLD
from ..core.errors import SettingError, VideoError
from ..core.text.vtt import TimedText, parse_text
from ..core.video.cuts import mark_cuts
from ..core.video.reader import Frame, VideoReader
from .config import ClipConfig, MaterialConfig

log = logging.getLogger(__name__)

LEAST_CONTRAST = 0.08
"""Standard deviation below which a piece is thought to be a fade or a title card, and left out."""

_ATTEMPT = 3  # times a clip's length that is read to find a stretch without a cut


@dataclass(frozen=True)
class FilmClip:
    """A piece of a film in a file of its own, (T,3,H,W) uint8.

    Attributes:
        file: a .npy file.
        source: name of the film.
        caption: what is to be seen; may be empty.
    """

    file: Path
    source: str
    caption: str

    def frames(self) -> np.ndarray:
        """The pixels, mapped from the disk: only what is looked at is read."""
        return np.load(self.file, mmap_mode="r")


def crop(clip: FilmClip, config: ClipConfig, rng: np.random.Generator) -> Tensor:
    """A random square of it, (T,3,size,size) in [0,1]."""
    frames = clip.frames()
    first = int(rng.integers(0, frames.shape[0] - config.frames + 1))
    top = int(rng.integers(0, frames.shape[2] - config.size + 1))
    left = int(rng.integers(0, frames.shape[3] - config.size + 1))
    part = frames[first : first + config.frames, :, top : top + config.size, left : left + config.size]
    hr = torch.from_numpy(np.array(part)).float() / 255
    return hr.flip(3) if rng.random() < 0.5 else hr


def film_clips(path: Path, clips: ClipConfig, material: MaterialConfig, cache: Path, count: int) -> list[FilmClip]:
    """Evenly spread pieces of a film without cuts.

    Found and decoded once; the next call with the same file and settings reads the index that the first one left in
    ``cache``. Peak memory: one piece.

    Args:
        path: the film; a caption may stand beside it, with the suffix .vtt or .txt.
        clips: their length and least size.
        material: by how much the film is shrunk.
        cache: folder for the pixels, made if need be.
        count: pieces wanted; there may be fewer.
    """
    index = cache / f"{_fingerprint(path, clips, material, count)}.json"
    text = read_caption(path)
    if not index.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            starts = _extract(path, clips, material, index, count)
        except VideoError as error:
            log.warning("%s is left out: %s", path.name, error)
            starts = []
        partial = index.with_suffix(".partial")
        partial.write_text(json.dumps(starts), encoding="utf-8")
        partial.replace(index)
    starts = json.loads(index.read_text("utf-8"))
    log.info("%d clips from %s", len(starts), path.name)
    return [FilmClip(_piece(index, i), path.name, text.at(start)) for i, start in enumerate(starts)]


def read_caption(path: Path) -> TimedText:
    """The caption beside a picture or a film: the same name with .vtt or .txt.

    Raises:
        SettingError: its times cannot be read.
    """
    for suffix in (".vtt", ".txt"):
        beside = path.with_suffix(suffix)
        if beside.is_file():
            try:
                return parse_text(beside.read_text("utf-8"))
            except (SettingError, UnicodeDecodeError) as error:
                raise SettingError(f"Expected a caption in {beside}: {error}") from error
    return TimedText(())


def _extract(path: Path, clips: ClipConfig, material: MaterialConfig, index: Path, count: int) -> list[float]:
    """Write the pieces; returns where each begins, in seconds."""
    with VideoReader(path) as reader:
        info, length = reader.info, float(reader.info.duration or 0)
        deinterlace = "on" if reader.scan.combed else "off"
    size = _shrunk((info.height, info.width), clips, material)
    if size is None:
        log.warning("%s is left out: %dx%d is smaller than the clips.", path.name, info.width, info.height)
        return []
    found: list[float] = []
    span = _ATTEMPT * clips.frames / float(info.frame_rate)
    for start in np.linspace(0.02 * length, max(0.97 * length - span, 0), count):
        with VideoReader(path, start=float(start), deinterlace=deinterlace) as reader:
            frames = (
                Frame(F.interpolate(frame.image[None], size=size, mode="area")[0], frame.pts, frame.duration)
                for frame in itertools.islice(reader, _ATTEMPT * clips.frames)
            )
            piece = next(_pieces(frames, clips.frames), None)
        if piece is not None:
            np.save(_piece(index, len(found)), (piece * 255).round().byte().numpy())
            found.append(float(start))
    return found


def _pieces(frames: Iterator[Frame], length: int) -> Iterator[Tensor]:
    """Stretches of ``length`` frames without a cut and with something to see."""
    piece: list[Tensor] = []
    for frame, cut in mark_cuts(frames, lambda frame: frame.image, CUT_THRESHOLD):
        if cut:
            piece = []
        piece.append(frame.image)
        if len(piece) == length:
            stacked = torch.stack(piece)
            if stacked.std() > LEAST_CONTRAST:
                yield stacked
            piece = []


def _shrunk(size: tuple[int, int], clips: ClipConfig, material: MaterialConfig) -> tuple[int, int] | None:
    """The size (height, width) a film is shrunk to: as asked, but no smaller than the clips; None if it is already."""
    scale = max(material.film_scale, clips.size / min(size))
    return None if scale > 1 else (max(round(size[0] * scale), clips.size), max(round(size[1] * scale), clips.size))


def _piece(index: Path, number: int) -> Path:
    return index.with_name(f"{index.stem}-{number:04}.npy")


def _fingerprint(path: Path, clips: ClipConfig, material: MaterialConfig, count: int) -> str:
    stat = path.stat()
    what = (path.name, stat.st_size, stat.st_mtime_ns, clips.frames, clips.size, material.film_scale, count)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:20]
