"""Which degradations are told apart, by what words and borders, and the estimate for some frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.catalog import DEGRADATION, find_shipped
from ...models.degradation_net import FRAMES, PATCH, DegradationNet, load_degradation_net

LEVELS = ("none", "light", "medium", "heavy")
"""None: less than the lightest is left, and no word is said of it."""

_MOST_PATCHES = 48
_BATCH = 16


@dataclass(frozen=True)
class Attribute:
    """A kind of degradation on a scale from 0 to 1.

    Attributes:
        name: its word in the text.
        low: the parameter at 0, where light begins.
        high: the parameter at 1, where heavy ends; light, medium and heavy are three equal parts.
        unit: of the parameter.
        present: the position from which on it is said at all.
    """

    name: str
    low: float
    high: float
    unit: str
    present: float

    @property
    def borders(self) -> tuple[float, float, float]:
        """Positions at which light, medium and heavy begin."""
        return self.present, 1.0 / 3.0, 2.0 / 3.0


ATTRIBUTES = (
    Attribute("blur", 0.2, 3.0, "sigma in pixels of the four times larger picture", 0.107),
    Attribute("upsample", 1.0, 4.0, "times enlarged before", 0.083),
    Attribute("noise", 1.0, 30.0, "sigma of 255", 0.0),
    Attribute("image compression", 95.0, 30.0, "JPEG quality", 0.0),
    Attribute("video compression", 18.0, 38.0, "CRF of x264", 0.0),
)
"""The ranges of ``operations``, except that those have none for enlarging; what counts is ``estimator_truth``'s."""


@dataclass(frozen=True)
class Estimate:
    """How some frames were spoilt.

    Attributes:
        exceeds: (5,3) probabilities that there is more of each attribute than at each of its borders, falling.
    """

    exceeds: Tensor

    @property
    def levels(self) -> tuple[int, ...]:
        """For each attribute an index into ``LEVELS``: the one whose expected cost is the least.

        To be one level off costs 1, two 3, three 6: to call light what is heavy misleads, to call it medium hardly.
        """
        steps = torch.arange(len(LEVELS))
        off = (steps[:, None] - steps).abs()
        return tuple((self.shares @ (0.5 * off * (off + 1))).argmin(1).tolist())

    @property
    def shares(self) -> Tensor:
        """(5,4): the probability of each of ``LEVELS``."""
        whole = torch.cat((torch.ones(len(self.exceeds), 1), self.exceeds, torch.zeros(len(self.exceeds), 1)), dim=1)
        return whole[:, :-1] - whole[:, 1:]

    def as_dict(self) -> dict[str, dict[str, float]]:
        """The probability of each level of each attribute, by their names."""
        return {
            attribute.name: {level: round(float(share), 4) for level, share in zip(LEVELS, shares, strict=True)}
            for attribute, shares in zip(ATTRIBUTES, self.shares, strict=True)
        }

    @property
    def text(self) -> str:
        """The degradation text, in the words and the order of ``chain.describe_chain``.

        ``downsample`` is always there: it is what the upscaler undoes.
        """
        words = [f"{LEVELS[found]} {attribute.name} " for found, attribute in zip(self.levels, ATTRIBUTES, strict=True)]
        words.insert(1, "downsample")
        return ", ".join(word.strip() for word in words if not word.startswith(LEVELS[0]))


def load_estimator(device: torch.device | None = None) -> "Estimator":
    """The shipped estimator.

    Args:
        device: where it runs; it is small, and the CPU is quick enough.

    Raises:
        DamagedWeightsError: its file is not the one that was shipped.
    """
    return Estimator(load_degradation_net(find_shipped(DEGRADATION)), device or torch.device("cpu"))


class Estimator:
    """Judges pieces of video, and adds up what it finds.

    Args:
        network: what ``load_degradation_net`` returned.
        device: where it runs.
    """

    def __init__(self, network: DegradationNet, device: torch.device) -> None:
        self._network, self._device = network.to(device).eval(), device

    def judge(self, frames: Tensor) -> Tensor:
        """Evidence from neighbouring frames: (5,3) probabilities, the mean over patches of the picture.

        Patches cover the picture evenly and are never resized; those of one colour say nothing and do not count.

        Args:
            frames: (3,3,H,W) RGB in [0,1]; sides under 64 pixels are mirrored.
        """
        patches = torch.stack(list(_patches(frames)))
        interest = patches[:, FRAMES // 2].flatten(1).std(1)
        chosen = patches[interest >= min(float(interest.median()), 0.02)]
        with torch.inference_mode():
            found = [self._network(piece.to(self._device)).float().cpu() for piece in chosen.split(_BATCH)]
        return torch.cat(found).sigmoid().mean(0)


def combine(evidence: Sequence[Tensor]) -> Estimate:
    """The estimate from several pieces of one shot: (5,3) probabilities each, at least one."""
    return Estimate(torch.stack(list(evidence)).mean(0).cummin(dim=1).values)


def _patches(frames: Tensor) -> Iterator[Tensor]:
    """At most ``_MOST_PATCHES`` patches (3,3,64,64), evenly spread, beside each other where there is room."""
    height, width = frames.shape[-2:]
    if min(height, width) < PATCH:
        frames = _mirrored(frames)
        height, width = frames.shape[-2:]
    rows, columns = height // PATCH, width // PATCH
    while rows * columns > _MOST_PATCHES:
        rows, columns = (rows - 1, columns) if rows > columns * height / width else (rows, columns - 1)
    for top in torch.linspace(0, height - PATCH, rows).round().int().tolist():
        for left in torch.linspace(0, width - PATCH, columns).round().int().tolist():
            yield frames[..., top : top + PATCH, left : left + PATCH]


def _mirrored(frames: Tensor) -> Tensor:
    """Continue a small picture by its mirror images until both sides are 64 pixels."""
    for dim in (-2, -1):
        while frames.shape[dim] < PATCH:
            frames = torch.cat((frames, frames.flip(dim)), dim=dim)
    return frames
