"""Sequences of noise for the negative branch: collected from real footage, or synthesised.

Collected by NegVSR's rule (Song et al., AAAI 2024; ``specs`` of TextOVSR, section 3): where a window of 64 pixels stays
flat through a clip, what is seen in it is noise.
"""

import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..core.config import CUT_THRESHOLD
from ..core.errors import DamagedWeightsError, SettingError, VideoError
from ..core.video.cuts import mark_cuts
from ..core.video.reader import VideoReader
from .material import FILMS, find_files

log = logging.getLogger(__name__)

SIDE = 64
"""Side of a window, and from one to the next, in pixels."""

LENGTH = 30
"""Frames of a clip."""

SEQUENCES = 39
"""Sequences in the published run's bank."""

_LUMA = (0.299, 0.587, 0.114)
_LARGEST_VARIANCE = 50.0  # of grey levels of 255, in each frame
_LARGEST_CHANGE = 50.0  # variance over time of the variances, and of the means


@dataclass(frozen=True)
class Collection:
    """What was collected: the sequences, each (T,3,64,64) uint8, and how many came from which file."""

    sequences: list[Tensor]
    sources: dict[str, int]


def flat_windows(clip: Tensor) -> Tensor:
    """Windows of a clip that show nothing but noise.

    Kept if every frame has a grey variance below 50 and a mean above 0, and neither varies over time by more than 50.

    Args:
        clip: (T,3,H,W) RGB in [0,1].

    Returns:
        (N,T,3,64,64), as ``clip``; windows stand side by side from the top left.
    """
    t, _, height, width = clip.shape
    clip = clip[..., : height - height % SIDE, : width - width % SIDE]
    windows = clip.unflatten(-1, (-1, SIDE)).unflatten(-3, (-1, SIDE))  # (T,3,Y,64,X,64)
    windows = windows.permute(2, 4, 0, 1, 3, 5).flatten(0, 1)  # (Y*X,T,3,64,64)
    grey = (windows * windows.new_tensor(_LUMA).view(3, 1, 1)).sum(2) * 255
    variances, means = grey.var((-1, -2), unbiased=False), grey.mean((-1, -2))
    kept = (variances < _LARGEST_VARIANCE).all(1) & (means > 0).all(1)
    if t > 1:
        steady = [values.var(1, unbiased=False) <= _LARGEST_CHANGE for values in (variances, means)]
        kept &= steady[0] & steady[1]
    return windows[kept]


def collect(folder: Path, limit: int, clips: int = 8, report: Callable[[str], None] = log.info) -> Collection:
    """Collect noise from a folder of videos.

    Peak memory: a clip of 30 frames and what has been kept.

    Args:
        folder: searched with all folders below.
        limit: sequences wanted; spread over the videos.
        clips: clips looked at in each video, evenly spread.
        report: is told what each video gave.

    Raises:
        SettingError: there is no video, or none that stays flat anywhere.
    """
    films = find_files(folder, FILMS)
    if not films:
        raise SettingError(f"Expected videos in {folder}, got none; choose the folder of your recordings.")
    found: list[Tensor] = []
    sources: dict[str, int] = {}
    for number, path in enumerate(films):
        share = -(-(limit - len(found)) // (len(films) - number))
        new = list(itertools.islice(_from_film(path, clips, share), share))
        report(f"{path.name}: {len(new)} sequences of noise")
        found += new
        sources.update({path.name: len(new)} if new else {})
    if not found:
        raise SettingError(
            f"Expected noise in flat places of the videos in {folder}, got none that stays flat for {LENGTH} frames "
            f"in {SIDE} x {SIDE} pixels; add recordings with walls, sky or dark corners, or train without a bank."
        )
    return Collection(found, sources)


def synthesise(count: int = SEQUENCES, seed: int = 0) -> list[Tensor]:
    """Noise like film grain and sensors make, where there is no footage to collect it from.

    Every sequence is an even colour with Gaussian noise that grows with the square root of the brightness, coarse or
    fine (blurred and brought back to its strength), partly grey, partly with a pattern that stands still. It keeps
    NegVSR's rule.

    Returns:
        ``count`` sequences, each (30,3,64,64) uint8.
    """
    rng = np.random.default_rng((seed, 0x6E6F697365))
    return [_grain(rng) for _ in range(count)]


def save_bank(collection: Collection, path: Path) -> None:
    """Write a bank as safetensors, where it came from in its header; an existing file is replaced as a whole."""
    tensors = {f"noise.{i:04}": sequence.contiguous() for i, sequence in enumerate(collection.sequences)}
    partial = path.with_suffix(".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, partial, {"format": "noise bank", "sources": json.dumps(collection.sources)})
    partial.replace(path)


def load_bank(path: Path) -> list[Tensor]:
    """Read what ``save_bank`` wrote: sequences (T,3,64,64) uint8.

    Raises:
        SettingError: there is no such file.
        DamagedWeightsError: it is no noise bank.
    """
    if not path.is_file():
        raise SettingError(f"Expected a noise bank at {path}, got none; make one with `textovsr train noise-bank`.")
    try:
        with safe_open(path, framework="pt") as file:
            found = [file.get_tensor(key) for key in sorted(file.keys()) if key.startswith("noise.")]
    except (SafetensorError, OSError) as error:
        raise DamagedWeightsError(f"Expected a noise bank in {path}, got an error: {error}; make it again.") from error
    if not found or any(s.dtype != torch.uint8 or s.ndim != 4 or s.shape[1:] != (3, SIDE, SIDE) for s in found):
        raise DamagedWeightsError(f"Expected tensors noise.* of (T,3,{SIDE},{SIDE}) uint8 in {path}; make it again.")
    return found


def draw(bank: Sequence[Tensor], frames: int, side: int, rng: np.random.Generator) -> Tensor:
    """Noise for a clip: (frames,3,side,side) in [0,1]; a short sequence goes on backwards, a small one is mirrored."""
    sequence = bank[rng.integers(len(bank))]
    length = sequence.shape[0]
    period = max(2 * (length - 1), 1)
    first = int(rng.integers(period))
    times = [(first + t) % period for t in range(frames)]
    noise = sequence[[t if t < length else period - t for t in times]].float() / 255
    if rng.random() < 0.5:
        noise = noise.flip(3)
    while noise.shape[-1] < side:
        noise = torch.cat([noise, noise.flip(3)], dim=3)
        noise = torch.cat([noise, noise.flip(2)], dim=2)
    return noise[..., :side, :side]


def _from_film(path: Path, clips: int, share: int) -> Iterator[Tensor]:
    """Noise of a film, at most a fair part of the share from each of its clips."""
    try:
        with VideoReader(path) as reader:
            length = float(reader.info.duration or 0)
            span = LENGTH / float(reader.info.frame_rate)
        clips = max(1, min(clips, int(length / span)))  # none is looked at twice
        for start in np.linspace(0, max(length - span, 0), clips):
            with VideoReader(path, start=float(start)) as reader:
                clip = _first_shot(reader)
            windows = flat_windows(clip) if clip.shape[0] == LENGTH else clip[:0, None]
            for window in windows[: max(1, -(-share // clips))]:
                yield (window * 255).round().byte()
    except VideoError as error:
        log.warning("%s is left out: %s", path.name, error)


def _first_shot(reader: VideoReader) -> Tensor:
    marked = mark_cuts(itertools.islice(reader, LENGTH), lambda frame: frame.image, CUT_THRESHOLD)
    frames = [frame.image for frame, _ in itertools.takewhile(lambda pair: not pair[1], marked)]
    return torch.stack(frames)


def _grain(rng: np.random.Generator) -> Tensor:
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    level = torch.from_numpy(rng.uniform(0.08, 0.9) + rng.normal(0, 0.05, 3)).float().clamp(0.05, 0.95).view(3, 1, 1)
    strength = rng.uniform(0.6, 6.0) / 255
    noise = torch.randn((LENGTH, 3, SIDE, SIDE), generator=generator)
    still = torch.randn((1, 3, SIDE, SIDE), generator=generator)
    grey, fixed = rng.uniform(0, 1), rng.uniform(0, 0.5)
    noise = noise.lerp(noise.mean(1, keepdim=True) * 3**0.5, grey) + fixed * still
    if rng.random() < 0.6:  # grain has a size: blur, then bring it back to its strength
        noise = _smooth(noise, float(rng.uniform(0.4, 1.4)))
    noise = noise / noise.std()
    return ((level + noise * strength * (level / 0.5).sqrt()).clamp(0, 1) * 255).round().byte()


def _smooth(noise: Tensor, sigma: float) -> Tensor:
    line = torch.exp(-0.5 * (torch.arange(-4, 5) / sigma) ** 2)
    kernel = (line[:, None] * line / line.sum() ** 2).expand(3, 1, 9, 9)
    return F.conv2d(F.pad(noise, (4, 4, 4, 4), mode="reflect"), kernel, groups=3)
