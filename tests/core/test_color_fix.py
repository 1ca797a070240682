"""Colour fixes: what each must leave and what it must take over."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.color_fix import _low_pass, fix_color

SIZES = st.tuples(st.integers(8, 24), st.integers(8, 24))


def pair(size: tuple[int, int], scale: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size[0])
    return torch.rand(3, scale * size[0], scale * size[1], generator=generator), torch.rand(
        3, *size, generator=generator
    )


def enlarged(source: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(source[None], size=tuple(size[-2:]), mode="bicubic")[0]


@given(size=SIZES)
def test_none_changes_nothing(size: tuple[int, int]) -> None:
    restored, source = pair(size)
    assert fix_color(restored, source, "none") is restored


@settings(deadline=None)
@given(size=SIZES, scale=st.sampled_from([1, 2, 4]))
def test_adain_gives_each_channel_the_mean_and_spread_of_the_source(size: tuple[int, int], scale: int) -> None:
    restored, source = pair(size, scale)
    found, target = fix_color(restored * 0.3 + 0.2, source, "adain"), enlarged(source, restored.shape)
    torch.testing.assert_close(found.mean(dim=(1, 2)), target.mean(dim=(1, 2)), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std(dim=(1, 2)), target.std(dim=(1, 2)), rtol=0, atol=1e-5)


def test_adain_of_a_flat_frame_is_the_mean_of_the_source() -> None:
    source = pair((8, 8))[1]
    found = fix_color(torch.full((3, 32, 32), 0.7), source, "adain")
    assert found.isfinite().all()
    torch.testing.assert_close(
        found.mean(dim=(1, 2)), enlarged(source, found.shape).mean(dim=(1, 2)), rtol=0, atol=0.01
    )


@settings(deadline=None)
@given(size=SIZES, offset=st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3))
def test_wavelet_takes_out_a_shift_of_colour(size: tuple[int, int], offset: list[float]) -> None:
    source = pair(size)[1]
    upright = enlarged(source, torch.Size([3, 4 * size[0], 4 * size[1]]))
    shifted = upright + torch.tensor(offset).view(3, 1, 1)
    torch.testing.assert_close(fix_color(shifted, source, "wavelet"), upright, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(size=SIZES)
def test_wavelet_takes_the_low_frequencies_and_leaves_the_high_ones(size: tuple[int, int]) -> None:
    restored, source = pair(size)
    found, target = fix_color(restored, source, "wavelet"), enlarged(source, restored.shape)
    low, high = _low_pass(target), restored - _low_pass(restored)
    torch.testing.assert_close(found, low + high, rtol=0, atol=1e-5)


def test_fine_detail_is_hardly_touched_by_the_wavelet() -> None:
    board = (torch.arange(128).view(-1, 1) + torch.arange(128)).remainder(2).float().expand(3, -1, -1)
    found = fix_color(board, torch.full((3, 32, 32), 0.5), "wavelet")
    torch.testing.assert_close(found, board, rtol=0, atol=0.02)


@pytest.mark.parametrize("method", ["adain", "wavelet"])
def test_a_frame_is_its_own_reference(method: str) -> None:
    source = pair((16, 20))[1]
    torch.testing.assert_close(fix_color(source, source, method), source, rtol=0, atol=1e-5)  # type: ignore[arg-type]
