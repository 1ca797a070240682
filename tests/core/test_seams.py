"""What stitching and rescheduled noise are for: less of a jump where windows meet."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from textovsr.core.overlaps import Curve, overlapping_windows, rescheduled_indices
from textovsr.core.stitch import stitch

PLACES = overlapping_windows(44, 8, 4)
SIDE = 16


def clean() -> Tensor:
    """(T,C,h,w): a smooth pattern that moves by a pixel a frame."""
    coarse = torch.randn(1, 4, 5, 20, generator=torch.Generator().manual_seed(1))
    wide = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE + 44), mode="bicubic")[0]
    return torch.stack([wide[..., t : t + SIDE] for t in range(44)])


def denoise(latents: Tensor, noise: Tensor) -> Tensor:
    """A denoiser that invents detail from the noise of all frames that look alike: attention over time, per pixel."""
    seen = (latents + noise).permute(2, 3, 0, 1)
    alike = torch.softmax(seen @ seen.transpose(-1, -2) / 2, -1)
    return latents + 0.3 * (alike @ noise.permute(2, 3, 0, 1)).permute(2, 3, 0, 1)


@pytest.mark.parametrize(("curve", "most"), [("code", 0.2), ("paper", 0.34), ("cosine", 0.38), ("cut", 1.0)])
def test_a_jump_between_windows_is_spread(curve: Curve, most: float) -> None:
    """Each window is off by a constant of its own: the published weights leave a fifth of the step to any one frame."""
    windows = [torch.full((len(place), 1), float(number % 2)) for number, place in enumerate(PLACES)]
    steps = torch.stack(list(stitch(windows, PLACES, curve))).diff(dim=0).abs()
    assert steps.max() == pytest.approx(most, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_windows_of_rescheduled_noise_agree_better(seed: int) -> None:
    """Where two windows overlap, sharing noise makes them alike, and seeing the same noise frames twice as much."""
    latents, generator = clean(), torch.Generator().manual_seed(seed)
    shared = torch.randn(latents.shape, generator=generator)
    rescheduled = shared[list(rescheduled_indices(44, 8, 4, seed))]

    def disagreement(noises: list[Tensor]) -> float:
        windows = [denoise(latents[p.start : p.stop], noise) for p, noise in zip(PLACES, noises, strict=True)]
        pairs = pairwise(windows)
        return float(torch.stack([(before[4:] - after[:4]).abs().mean() for before, after in pairs]).mean())

    own = disagreement([torch.randn(8, 4, SIDE, SIDE, generator=generator) for _ in PLACES])
    one = disagreement([shared[p.start : p.stop] for p in PLACES])
    same = disagreement([rescheduled[p.start : p.stop] for p in PLACES])
    assert one < 0.4 * own
    assert same < 0.65 * one
