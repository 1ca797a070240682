"""Blur kernels."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.degrade.kernels import KINDS, gaussian_family, sinc
from textovsr.core.errors import SettingError

SIZES = st.integers(1, 12).map(lambda n: 2 * n + 1)
SIGMAS = st.tuples(st.floats(0.2, 3.0), st.floats(0.2, 3.0))
ANGLES = st.floats(-math.pi, math.pi)


@given(kind=st.sampled_from(KINDS), size=SIZES, sigma=SIGMAS, angle=ANGLES, beta=st.floats(0.5, 4.0))
def test_a_kernel_averages(kind: str, size: int, sigma: tuple[float, float], angle: float, beta: float) -> None:
    kernel = gaussian_family(kind, size, sigma, angle, beta)
    assert kernel.shape == (size, size)
    assert kernel.min() >= 0
    assert float(kernel.sum()) == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(kernel, kernel.flip(0, 1), rtol=0, atol=1e-6)
    assert kernel[size // 2, size // 2] == kernel.max()


@given(size=SIZES, cutoff=st.floats(math.pi / 3, math.pi))
def test_a_sinc_keeps_the_brightness_and_rings(size: int, cutoff: float) -> None:
    kernel = sinc(size, cutoff)
    assert float(kernel.sum()) == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(kernel, kernel.T, rtol=0, atol=1e-6)


def test_a_sinc_has_negative_lobes() -> None:
    assert sinc(21, math.pi / 3).min() < 0


@given(kind=st.sampled_from(["iso", "generalized_iso", "plateau_iso"]), sigma=SIGMAS, angle=ANGLES)
def test_an_iso_kernel_is_round(kind: str, sigma: tuple[float, float], angle: float) -> None:
    round_one = gaussian_family(kind, 9, (sigma[0], sigma[0]))
    torch.testing.assert_close(gaussian_family(kind, 9, sigma, angle), round_one, rtol=0, atol=1e-5)


@given(sigma=st.floats(0.8, 2.0))
def test_a_gaussian_has_the_spread_asked_for(sigma: float) -> None:
    kernel = gaussian_family("iso", 25, (sigma, sigma)).double()
    axis = torch.arange(25) - 12
    assert float((kernel.sum(0) * axis**2).sum()) == pytest.approx(sigma**2, rel=0.02)


def test_a_turned_kernel_lies_along_its_axis() -> None:
    kernel = gaussian_family("aniso", 21, (3.0, 0.5), angle=0.0)
    turned = gaussian_family("aniso", 21, (3.0, 0.5), angle=math.pi / 2)
    assert kernel[10, 14] > kernel[14, 10]
    torch.testing.assert_close(turned, kernel.T, rtol=0, atol=1e-6)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SettingError, match=r"among iso, aniso.*got 'box'"):
        gaussian_family("box", 3, (1.0, 1.0))


def test_an_even_size_is_refused() -> None:
    with pytest.raises(SettingError, match="odd kernel size, got 4"):
        sinc(4, 2.0)
    with pytest.raises(SettingError, match="odd kernel size, got 4"):
        gaussian_family("iso", 4, (1.0, 1.0))
