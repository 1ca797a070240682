"""The clips that an export is calibrated with and judged by: the bundled footage, as it is and spoilt further."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import SCALE
from ..degrade.chain import apply_chain, describe_chain, sample_clean, sample_light, sample_second_order
from ..degrade.operation import Operation
from ..errors import VideoNotFoundError
from ..video.reader import VideoReader

_FOLDER = Path(__file__).parents[2] / "clips"
_FILES = ("phone.mp4", "webcam.avi")
_MOST = 16  # frames of the shorter one
_CROP = (128, 160)


@dataclass(frozen=True)
class Clip:
    """Something to restore.

    Attributes:
        frames: (T,3,H,W) RGB in [0,1].
        words: what is wrong with it.
        truth: (T,3,4H,4W), if it is known.
    """

    frames: Tensor
    words: str = ""
    truth: Tensor | None = None


@dataclass(frozen=True)
class Material:
    """Clips to calibrate with, and others, of later frames and with a truth, to judge by."""

    calibration: tuple[Clip, ...]
    judged: tuple[Clip, ...]


def bundled_material(frames: int, seed: int) -> Material:
    """Clips of the bundled footage.

    Args:
        frames: of each clip, 2 to 8.
        seed: of everything that is drawn.

    Raises:
        VideoNotFoundError: the pack lacks its clips.
    """
    rng = np.random.default_rng(seed)
    calibration: list[Clip] = []
    judged: list[Clip] = []
    for name in _FILES:
        footage = _read(_FOLDER / name)
        first, last = footage[:frames], footage[-frames:]
        size = (footage.shape[-2], footage.shape[-1])
        calibration += [Clip(_middle(first)), _spoilt(first, sample_clean(size), rng)]
        calibration += [_spoilt(first, sample_second_order(size, rng), rng) for _ in range(2)]
        judged += [_spoilt(last, chain, rng) for chain in (sample_clean(size), sample_light(size, rng))]
    return Material(tuple(calibration), tuple(judged))


def _read(path: Path) -> Tensor:
    if not path.is_file():
        raise VideoNotFoundError(f"Expected the bundled clip {path.name}, found none; install the pack again.")
    with VideoReader(path) as reader:
        frames = torch.stack([frame.image for frame in islice(reader, _MOST)])
    even = 2 * SCALE  # codecs want even sides of what is shrunk
    height, width = (side // even * even for side in frames.shape[-2:])
    return frames[..., :height, :width]


def _middle(clip: Tensor) -> Tensor:
    top, left = ((side - crop) // 2 for side, crop in zip(clip.shape[-2:], _CROP, strict=True))
    return clip[..., top : top + _CROP[0], left : left + _CROP[1]]


def _spoilt(truth: Tensor, chain: list[Operation], rng: np.random.Generator) -> Clip:
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    return Clip(apply_chain(truth, chain, generator).clamp(0, 1), describe_chain(chain), truth)
