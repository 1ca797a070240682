"""What SDATC's stage 2 learns from: clips with the latents that stage 1 samples for them, made once and kept."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from ..core.diffusion.tiles import Tiling
from ..core.restorers.sdatc.config import SdatcConfig
from ..core.restorers.sdatc.sampling import Clip, ClipSampler
from ..models.sdatc.dcm import Dcm
from ..models.sdatc.denoiser import SdatcDenoiser
from ..models.sdatc.vae import SdatcVae
from .data import ClipDataset
from .sdatc_config import PairsConfig
from .sdatc_networks import to_latents

log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """Clips, spoilt clips and sampled latents: (T,3,4h,4w), (T,3,h,w) in [0,1] and (T,4,h/2,w/2), scaled; in a batch
    with a first dimension more."""

    hr: Tensor
    lr: Tensor
    latents: Tensor


class PairsMade(NamedTuple):
    """How many there are; as words for people."""

    done: int
    total: int

    def __str__(self) -> str:
        return f"sampled clip {self.done}/{self.total}"


class Sampling(NamedTuple):
    """The networks of stage 1, on a device, and (1,K,D), what the denoiser reads of no words."""

    dcm: Dcm
    denoiser: SdatcDenoiser
    vae: SdatcVae
    text: Tensor


@torch.no_grad()
def make_pairs(
    clips: ClipDataset,
    networks: Sampling,
    config: PairsConfig,
    folder: Path,
    report: Callable[[PairsMade], None] | None = None,
) -> list[Path]:
    """Make the pairs that are not there yet; returns all files.

    Which clip and which noise a pair has is decided by the seed of ``clips`` and its number alone.

    Args:
        clips: where they come from.
        networks: of stage 1.
        config: how many, and how they are sampled.
        folder: where they go.
        report: is told after each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:06}.safetensors" for number in range(config.count)]
    for number, path in enumerate(paths):
        if path.exists():
            continue
        sample = clips[number]
        latents = _sample(sample.lr, networks, config, (clips.seed, number)).half().cpu()
        partial = path.with_suffix(".partial")
        kept = {"hr": _bytes(sample.hr), "lr": _bytes(sample.lr), "latents": latents}
        save_file({key: value.contiguous() for key, value in kept.items()}, partial)
        partial.replace(path)
        (report or _log)(PairsMade(number + 1, config.count))
    return paths


class PairClips(Dataset[Pair]):
    """Endless random pairs; the i-th depends on the seed and on i alone.

    Args:
        paths: of ``make_pairs``.
        seed: of the whole sequence.
    """

    def __init__(self, paths: Sequence[Path], seed: int) -> None:
        super().__init__()
        self.paths, self.seed = paths, seed

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng((self.seed, index))
        kept = load_file(self.paths[int(rng.integers(len(self.paths)))])
        return Pair(kept["hr"].float() / 255, kept["lr"].float() / 255, kept["latents"].float())


def stack(pairs: Sequence[Pair]) -> Pair:
    """A batch of pairs."""
    return Pair(*(torch.stack(parts) for parts in zip(*pairs, strict=True)))


def move(pairs: Pair, device: torch.device) -> Pair:
    """A batch on a device."""
    return Pair(*(part.to(device, non_blocking=True) for part in pairs))


def _sample(lr: Tensor, networks: Sampling, config: PairsConfig, seed: tuple[int, int]) -> Tensor:
    """Clean scaled latents (T,4,h,w) of a clip, one window of frames that do not know of each other."""
    device = networks.text.device
    condition, _ = to_latents(networks.vae, networks.dcm(lr.to(device)).clamp(0, 1))
    start = "noise" if config.start == "noise" else "condition"
    settings = SdatcConfig(steps=config.steps, start=start, guidance=None)
    side = max(condition.shape[-2:])
    sampler = ClipSampler(networks.denoiser, Tiling(side, side // 2), len(condition), settings, check=lambda: None)

    def noise(step: int) -> Tensor:
        digest = hashlib.sha256(repr((*seed, step)).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
        return torch.randn(condition.shape, generator=generator).to(device)

    text = networks.text.expand(len(condition), -1, -1)
    return sampler.sample(Clip(condition.float(), text, None, noise, condition[:0].float()))


def _log(made: PairsMade) -> None:
    log.info("%s", made)


def _bytes(clip: Tensor) -> Tensor:
    return (255 * clip).round().clamp(0, 255).byte()
