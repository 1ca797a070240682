"""Training clips: animated photographs and cut-free pieces of film, degraded on the fly, with their texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..core.degrade.chain import (
    apply_chain,
    describe_chain,
    sample_clean,
    sample_light,
    sample_second_order,
)
from ..core.degrade.operation import Operation
from ..core.text.encode import join_prompt, tokenize
from .config import ClipConfig
from .film import crop
from .material import Material
from .motion import animate
from .negative import random_turns
from .noise_bank import draw

FLAT_GRADIENT = 0.012
"""Mean vertical gradient below which a clip is thought to be flat, and drawn again up to ``MAX_DRAWS`` times."""

MAX_DRAWS = 3


@dataclass(frozen=True)
class Sample:
    """A training pair.

    Attributes:
        hr: (T,3,4H,4W) in [0,1].
        lr: (T,3,H,W) in [0,1].
        prompt: what the network is told: caption and degradation text, each left out at times.
        degradation: the degradation text, whether told or not.
        noise: (T,3,H,W) in [0,1] to mix in for the negative branch; empty without a bank.
        turns: (16,16) quarter turns for it; see ``negative.spoil``.
    """

    hr: Tensor
    lr: Tensor
    prompt: str
    degradation: str = ""
    noise: Tensor = field(default_factory=lambda: torch.empty(0))
    turns: Tensor = field(default_factory=lambda: torch.empty(0))


class Texts(NamedTuple):
    """Prompts of a batch as tokens, equal ones once.

    Attributes:
        ids: (U,77) tokens of the different prompts.
        mask: (U,77), 0 on padding.
        rows: (B,) which of them each clip has.
    """

    ids: Tensor
    mask: Tensor
    rows: Tensor


class Batch(NamedTuple):
    """Clips of a batch, stacked; see ``Sample``. ``noise`` and ``turns`` are empty without a bank."""

    hr: Tensor
    lr: Tensor
    prompts: Texts
    degradations: Texts
    noise: Tensor
    turns: Tensor


class ClipDataset(Dataset[Sample]):
    """Endless random clips.

    Clip i depends on the seed and on i alone, so that a resumed training sees what an uninterrupted one would, and the
    number of data processes changes nothing. Peak memory: the photographs that ``Material`` keeps, and a clip.

    Args:
        material: what to draw from.
        config: what the clips are like.
        seed: of the whole sequence.
        bank: noise sequences (T,3,64,64) uint8 for the negative branch; none leaves it out.
    """

    def __init__(self, material: Material, config: ClipConfig, seed: int = 0, bank: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self.material, self.config, self.seed, self.bank = material, config, seed, bank
        self._odds = material.weights() if material.pictures else None

    def __getitem__(self, index: int) -> Sample:
        return self.sample(np.random.default_rng((self.seed, index)))

    def sample(self, rng: np.random.Generator) -> Sample:
        """One pair, a pure function of the state of ``rng``."""
        config = self.config
        for _ in range(MAX_DRAWS):
            hr, caption = self._draw(rng)
            if (hr[0, :, 1:] - hr[0, :, :-1]).abs().mean() > FLAT_GRADIENT:
                break
        chain = self._chain(rng)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        lr = apply_chain(hr, chain, generator).clamp(0, 1)
        degradation = describe_chain(chain)
        told = (caption if rng.random() < config.caption else "", degradation if rng.random() < config.text else "")
        sample = Sample(hr, lr, join_prompt(*told), degradation)
        if not self.bank:
            return sample
        return replace(sample, noise=draw(self.bank, *lr.shape[::3], rng), turns=random_turns(rng))

    def _chain(self, rng: np.random.Generator) -> list[Operation]:
        config, kind = self.config, rng.random()
        size = (config.size, config.size)
        if kind < config.clean:
            return sample_clean(size)
        if kind < config.clean + config.light:
            return sample_light(size, rng)
        return sample_second_order(size, rng)

    def _draw(self, rng: np.random.Generator) -> tuple[Tensor, str]:
        """A clip and its caption."""
        film, pictures = self.material.film, self.material.pictures
        if film and (not pictures or rng.random() < self.config.film):
            clip = film[rng.integers(len(film))]
            return crop(clip, self.config, rng), clip.caption
        captions: list[str] = []

        def pick() -> Tensor:
            picture = pictures[rng.choice(len(pictures), p=self._odds)]
            captions.append(picture.caption)
            return self.material.decode(picture)

        return animate(pick, self.config, rng), captions[0]


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples and turn their texts into tokens; done in the data processes."""
    return Batch(
        torch.stack([sample.hr for sample in samples]),
        torch.stack([sample.lr for sample in samples]),
        _texts([sample.prompt for sample in samples]),
        _texts([sample.degradation for sample in samples]),
        torch.stack([sample.noise for sample in samples]),
        torch.stack([sample.turns for sample in samples]),
    )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device; from pinned memory the copy runs beside the computing."""

    def moved(value: Tensor) -> Tensor:
        return value.to(device, non_blocking=True)

    prompts, degradations = (Texts(*map(moved, texts)) for texts in (batch.prompts, batch.degradations))
    return Batch(moved(batch.hr), moved(batch.lr), prompts, degradations, moved(batch.noise), moved(batch.turns))


def _texts(prompts: list[str]) -> Texts:
    different = sorted(set(prompts))
    return Texts(*tokenize(different), torch.tensor([different.index(prompt) for prompt in prompts]))
