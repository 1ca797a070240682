"""STAR's sampling of a clip with CogVideoX: DPM-Solver++ (2M) of the variance-preserving SDE, in tiles."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...diffusion.frame_noise import BEGINNING
from ...diffusion.tiles import Tiling, average_tiles
from ...overlaps import overlapping_windows
from ...tiles import Check
from ..parts import TellStep, untold
from .config import LATENT, TRAINED_STEPS, StarCogConfig

_BETAS = (0.00085, 0.012)
_POWER = 5


@dataclass(frozen=True)
class Step:
    """A step of the sampler, where latents are kept * x0 + sqrt(1 - kept^2) n.

    Attributes:
        timestep: 0 to 999.
        kept: of the picture before the step.
        seen: the same, as the prediction is read with.
        following: of the picture after the step.
    """

    timestep: int
    kept: float
    seen: float
    following: float


def schedule(config: StarCogConfig) -> list[Step]:
    """The steps, noisiest first, at timesteps floor(999 - 999 k / n).

    sqrt(abar) of Stable Diffusion's betas is stretched so that nothing of the picture is left at timestep 999 (Lin et
    al., WACV 2024, algorithm 1): over all timesteps, as in training, or over those that are taken.
    """
    betas = np.linspace(_BETAS[0] ** 0.5, _BETAS[1] ** 0.5, TRAINED_STEPS) ** 2
    roots = np.sqrt(np.cumprod(1.0 - betas))
    timesteps = np.linspace(TRAINED_STEPS - 1, 0, config.steps, endpoint=False).astype(int)
    trained = _stretched(roots)
    kept = seen = trained[timesteps]
    if config.alphas == "published":
        kept = _stretched(roots[timesteps[::-1]])[::-1] if len(timesteps) > 1 else seen
        seen = trained[np.abs(kept[:, None] - trained).argmin(axis=1)]
    after = np.append(kept[1:], 1.0)
    return [Step(int(t), *map(float, rest)) for t, *rest in zip(timesteps, kept, seen, after, strict=True)]


def guidance(config: StarCogConfig, number: int, timestep: int) -> float:
    """The factor of what the caption adds: 1 + s (1 - cos(pi p^5)) / 2.

    ``ramp`` has p = k / n at step k of n, ``published`` p = (n - t) / n at timestep t, ``constant`` p = 1.
    """
    steps = config.steps
    progress = {"ramp": number / steps, "published": (steps - timestep) / steps, "constant": 1.0}[config.guidance]
    return 1.0 + config.guidance_scale * (1.0 - math.cos(math.pi * progress**_POWER)) / 2.0


def solver_step(x: Tensor, clean: Sequence[Tensor], steps: Sequence[Step], noise: Callable[[], Tensor]) -> Tensor:
    """One step of DPM-Solver++ (2M) for the SDE (Lu et al., 2022, section 6), on predictions of clean latents::

        l = log(kept / sqrt(1 - kept^2)),  h = l_next - l,  r = (l - l_before) / h
        D = x0 + (x0 - x0_before) / (2r)
        x <- sigma_next / sigma exp(-h) x + kept_next (1 - exp(-2h)) D + sigma_next sqrt(1 - exp(-2h)) n

    Args:
        x: latents before the step.
        clean: the predictions so far, the last one for ``x``.
        steps: those gone through so far, the last one this step; one that ends at clean latents gives the prediction.
        noise: makes n.
    """
    step = steps[-1]
    if step.following == 1.0:
        return clean[-1]
    now, after = _log_snr(step.kept), _log_snr(step.following)
    h = after - now
    sigma, sigma_after = (math.sqrt(1.0 - kept**2) for kept in (step.kept, step.following))
    target = clean[-1]
    if len(clean) > 1:
        r = (now - _log_snr(steps[-2].kept)) / h
        target = target + (target - clean[-2]) / (2.0 * r)
    spent = -math.expm1(-2.0 * h)
    x = sigma_after / sigma * math.exp(-h) * x + step.following * spent * target
    return x + sigma_after * math.sqrt(spent) * noise()


@dataclass(frozen=True)
class Oblong(Tiling):
    """Tiles that are wider than high: ``tile`` and ``overlap`` are of the rows, these of the columns."""

    wide: int = 90
    wide_overlap: int = 18

    def places(self, height: int, width: int) -> Iterator[tuple[slice, slice]]:
        """See ``Tiling.places``."""
        for rows in overlapping_windows(height, self.tile, self.overlap):
            for columns in overlapping_windows(width, self.wide, self.wide_overlap):
                yield slice(rows.start, rows.stop), slice(columns.start, columns.stop)


def oblong(pixels: int) -> Oblong:
    """Tiles of so many pixels of height, half as wide again, that share a fifth; in whole tokens.

    With a quarter, 1280x720 would take six of the trained size instead of four.
    """
    rows, columns = (max(even(side / LATENT), 2) for side in (pixels, 1.5 * pixels))
    return Oblong(rows, even(rows / 5), wide=columns, wide_overlap=even(columns / 5))


def even(length: float) -> int:
    """The next even number below."""
    return int(length) // 2 * 2


@dataclass(frozen=True)
class Clip:
    """What is sampled together.

    Attributes:
        low_res: (T,16,h,w), scaled latents of the enlarged low-resolution frames, float32, on the network's device.
        text: (K,D), in the network's dtype.
        noise: given the number of a step made, or ``BEGINNING``, makes noise shaped as ``low_res``.
    """

    low_res: Tensor
    text: Tensor
    noise: Callable[[int], Tensor]


@dataclass(frozen=True)
class ClipSampler:
    """Samples clips.

    Attributes:
        network: a ``models.star_cog.transformer.StarCogTransformer``, on its device.
        tiling: of every step.
        config: steps and guidance.
        check: called before every tile; raises to cancel.
        tell: called after every step.
    """

    network: nn.Module
    tiling: Tiling
    config: StarCogConfig
    check: Check
    tell: TellStep = untold

    def sample(self, clip: Clip) -> Tensor:
        """Clean latents (T,16,h,w), scaled, from noise alone: the low resolution only stands beside it."""
        steps = schedule(self.config)
        x, clean = clip.noise(BEGINNING), list[Tensor]()
        for number, step in enumerate(steps):
            velocity = self._velocity(clip, x, number, step.timestep)
            clean = [*clean[-1:], step.seen * x - math.sqrt(1.0 - step.seen**2) * velocity]
            x = solver_step(x, clean, steps[: number + 1], lambda number=number: clip.noise(number))  # type: ignore[misc]
            self.tell(number + 1, len(steps))
        return x

    def _velocity(self, clip: Clip, x: Tensor, number: int, timestep: int) -> Tensor:
        """The guided velocity of all tiles: u + g (c - u), where u is said nothing, not even an empty text."""
        scale, dtype = guidance(self.config, number, timestep), clip.text.dtype
        texts = [clip.text] if scale == 1.0 else [torch.zeros_like(clip.text), clip.text]
        when = torch.tensor([timestep], device=x.device)

        def part(rows: slice, columns: slice) -> Tensor:
            pieces = (x[..., rows, columns], clip.low_res[..., rows, columns])
            seen = torch.cat(pieces, dim=1)[None].to(dtype)
            velocities = []
            for text in texts:  # one after the other: a tile of the trained size fills a GPU
                self.check()
                velocities.append(self.network(seen, when, text[None])[0].float())
            return velocities[0] + scale * (velocities[-1] - velocities[0])

        return average_tiles(part, (x.shape[-2], x.shape[-1]), self.tiling)


def _stretched(roots: np.ndarray) -> np.ndarray:
    """Ascending timesteps: the last root becomes 0, the first one stays."""
    return (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])


def _log_snr(kept: float) -> float:
    return math.log(kept / math.sqrt(1.0 - kept**2)) if kept > 0.0 else -math.inf
