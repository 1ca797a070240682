from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.core.quality.niqe import (
    NaturalStatistics,
    fit_asymmetric,
    halve,
    load_natural_statistics,
    niqe,
    read_natural_statistics,
)

STATISTICS = NaturalStatistics(
    torch.linspace(0.2, 2, 36, dtype=torch.float64), torch.linspace(0.01, 0.1, 36, dtype=torch.float64).diag()
)


def waves() -> Tensor:
    """Gratings and noise, (3,200,300)."""
    y, x = np.mgrid[:200, :300].astype(float)
    noise = np.random.RandomState(7).standard_normal((200, 300))
    grey = 0.5 + 0.25 * np.sin(x / 9 + y / 23) + 0.15 * np.sin(y / 5 - x / 31) + 0.03 * noise
    return torch.from_numpy(grey.clip(0, 1)).expand(3, -1, -1)


def test_niqe_equals_the_published_implementation() -> None:
    """43.9878: niqe() of basicsr-fixed 1.4.2 (BasicSR) with these statistics, on the luma in 8 bits."""
    assert niqe(waves(), STATISTICS) == pytest.approx(43.9878, rel=1e-4)


@pytest.mark.parametrize(("name", "clean", "noisy"), [("coffee", 5.8038, 9.0144), ("chelsea", 2.6255, 6.3749)])
def test_photographs_have_the_published_scores(name: str, clean: float, noisy: float) -> None:
    """niqe() of basicsr-fixed 1.4.2 with its own statistics, which ship; no part of these pictures is wholly flat."""
    natural = load_natural_statistics()
    noise = torch.from_numpy(np.random.RandomState(0).standard_normal((3, 288, 384)))
    x = torch.from_numpy(getattr(skimage.data, name)()[:288, :384].copy()).permute(2, 0, 1) / 255
    assert niqe(x, natural) == pytest.approx(clean, abs=1e-3)
    assert niqe((x + 0.05 * noise).clamp(0, 1).float(), natural) == pytest.approx(noisy, abs=1e-3)


def test_the_border_is_left_out() -> None:
    framed = torch.nn.functional.pad(waves(), (5, 5, 5, 5))
    assert niqe(framed, STATISTICS, border=5) == pytest.approx(niqe(waves(), STATISTICS), rel=1e-9)
    assert abs(niqe(framed, STATISTICS) - niqe(waves(), STATISTICS)) > 0.1


def test_a_flat_frame_has_no_score() -> None:
    assert np.isnan(niqe(torch.full((3, 192, 192), 0.4), STATISTICS))


def test_small_frames_are_refused() -> None:
    with pytest.raises(ShapeError, match="two blocks of 96 pixels, got 96x190"):
        niqe(torch.zeros(3, 200, 106), STATISTICS, border=5)


@pytest.mark.parametrize(("power", "shape"), [(2.0, 2.0), (1.0, 1.0)])
def test_the_fit_finds_gauss_and_laplace(power: float, shape: float) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal(90_000) if power == 2.0 else rng.laplace(size=90_000)
    alpha, left, right, mean = fit_asymmetric(torch.from_numpy(values).view(1, 300, 300))
    assert float(alpha) == pytest.approx(shape, rel=0.03)
    width = 2**0.5 if power == 2.0 else 1.0
    assert [float(left), float(right)] == pytest.approx([width, width], rel=0.03)
    assert float(mean) == pytest.approx(0, abs=0.02)


def test_the_fit_tells_the_sides_apart() -> None:
    values = torch.from_numpy(np.random.default_rng(4).standard_normal((1, 300, 300)))
    values = torch.where(values > 0, 3 * values, values)
    _, left, right, mean = fit_asymmetric(values)
    assert float(right / left) == pytest.approx(3, rel=0.02)
    assert float(mean) > 0.5


def test_halving_uses_matlabs_kernel() -> None:
    """imresize(x, 0.5): the cubic of a = -1/2 stretched to eight taps."""
    impulse = torch.zeros(32, 32, dtype=torch.float64)
    impulse[:, 16] = 1
    taps = torch.tensor([-0.01171875, 0.11328125, 0.43359375, -0.03515625], dtype=torch.float64)
    torch.testing.assert_close(halve(impulse)[8, 6:10], taps, rtol=0, atol=1e-6)


def test_halving_mirrors_at_the_border() -> None:
    torch.testing.assert_close(halve(torch.full((20, 24), 7.0)), torch.full((10, 12), 7.0))
    edge = torch.zeros(32, 32, dtype=torch.float64)
    edge[:, 0] = 1
    # The mirrored copy falls on the next tap outwards.
    assert float(halve(edge)[8, 0]) == pytest.approx(0.43359375 + 0.11328125, abs=1e-6)


def test_statistics_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "natural.npz", mu_pris_param=np.ones((1, 36)), cov_pris_param=2 * np.eye(36))
    natural = read_natural_statistics(tmp_path / "natural.npz")
    assert natural.mean.shape == (36,)
    assert float(natural.covariance.trace()) == 72
