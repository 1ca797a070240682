"""Tiles of a canvas: they cover it, and weights that sum to one hide them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.diffusion.tiles import Tiling, average_tiles, gaussian_weights
from textovsr.core.errors import SettingError


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 50), width=st.integers(1, 50), tile=st.integers(4, 40), share=st.floats(0, 0.99),
    published=st.booleans(),
)  # fmt: skip
def test_parts_of_one_picture_give_it_back(height: int, width: int, tile: int, share: float, published: bool) -> None:
    picture = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    sizes = set()

    def part(rows: slice, columns: slice) -> torch.Tensor:
        sizes.add((rows.stop - rows.start, columns.stop - columns.start))
        return picture[..., rows, columns]

    found = average_tiles(part, (height, width), Tiling(tile, int(share * tile), published))
    torch.testing.assert_close(found, picture, rtol=0, atol=1e-5)
    assert sizes == {(min(height, tile), min(width, tile))}


def test_the_places_are_the_published_ones() -> None:
    """Every 16 pixels, the last moved back."""
    places = list(Tiling(32, 16).places(40, 64))
    assert [rows.start for rows, _ in places[::3]] == [0, 8]
    assert [columns.start for _, columns in places[:3]] == [0, 16, 32]
    assert len(places) == 6


def test_the_weights_are_gaussians_of_the_tile() -> None:
    weights = gaussian_weights(64, 32)
    torch.testing.assert_close(weights, weights.flip(0, 1))
    assert float(weights.max()) == pytest.approx(1, abs=0.02)
    ratio = float(weights[32, 0] / weights[32, 15])
    assert ratio == pytest.approx(math.exp(-((15.5 / 32) ** 2 - (0.5 / 32) ** 2) / 0.02), rel=1e-4)


def test_the_published_weights_sit_half_a_pixel_lower() -> None:
    weights = gaussian_weights(64, 64, published=True)
    assert float(weights[:, 31].argmax()) == 32
    torch.testing.assert_close(weights, weights.flip(1))
    torch.testing.assert_close(weights[1:], weights[1:].flip(0))


def test_borders_of_tiles_do_not_show() -> None:
    """Tiles that disagree by 1 fade into each other over an eighth of a tile."""
    numbers = iter(range(100))
    flat = average_tiles(
        lambda rows, columns: torch.full((1, 32, 32), next(numbers) % 2 * 1.0), (32, 80), Tiling(32, 16)
    )
    assert float(flat.diff(dim=2).abs().max()) < 0.4
    assert float(flat.min()) < 0.01
    assert float(flat.max()) > 0.99


def test_half_precision_is_summed_in_full() -> None:
    ones = average_tiles(lambda rows, columns: torch.ones(1, 16, 16, dtype=torch.float16), (40, 40), Tiling(16, 4))
    assert ones.dtype == torch.float16
    assert torch.equal(ones, torch.ones_like(ones))


@pytest.mark.parametrize(("tile", "overlap"), [(8, 8), (8, -1), (0, 0)])
def test_an_overlap_out_of_range_is_named(tile: int, overlap: int) -> None:
    with pytest.raises(SettingError, match=f"for tiles of {tile}, got {overlap}"):
        Tiling(tile, overlap)
