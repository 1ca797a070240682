"""Tiles: the same result as the whole frame, in pieces that can be cancelled."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import CancelledError, SettingError
from textovsr.core.tiles import apply_tiled

SIDES, TILES = st.integers(1, 40), st.integers(0, 24)


class Convolutions:
    """A stack of 3x3 convolutions with ReLU, and a pixel shuffle that enlarges; ``seen`` are the sizes it was given."""

    def __init__(self, depth: int, scale: int = 1) -> None:
        generator = torch.Generator().manual_seed(depth)
        widths = [2] * depth + [3 * scale**2]
        self.weights = [torch.randn(b, a, 3, 3, generator=generator) / 4 for a, b in pairwise(widths)]
        self.scale = scale
        self.seen: list[tuple[int, int]] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.seen.append((x.shape[-2], x.shape[-1]))
        for weight in self.weights:
            x = F.relu(F.conv2d(x, weight, padding=1))
        return F.pixel_shuffle(x, self.scale)


def frame(height: int, width: int) -> Tensor:
    return torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(0))


@settings(deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    tile=TILES,
    depth=st.integers(1, 4),
    more=st.integers(0, 3),
    scale=st.sampled_from([1, 4]),
)
def test_tiles_make_the_whole(height: int, width: int, tile: int, depth: int, more: int, scale: int) -> None:
    function, x = Convolutions(depth, scale), frame(height, width)
    found = apply_tiled(function, x, tile, depth + more, lambda: None, scale)
    torch.testing.assert_close(found, function(x), rtol=0, atol=1e-4)


@given(height=SIDES, width=SIDES, tile=st.integers(1, 24), halo=st.integers(0, 5))
def test_no_tile_is_larger_than_asked_for(height: int, width: int, tile: int, halo: int) -> None:
    function = Convolutions(1)
    apply_tiled(function, frame(height, width), tile, halo, lambda: None)
    assert all(max(size) <= tile + 2 * halo for size in function.seen)


@given(height=SIDES, width=SIDES, tile=TILES)
def test_there_is_a_check_before_every_tile(height: int, width: int, tile: int) -> None:
    function, checks = Convolutions(1), []
    apply_tiled(function, frame(height, width), tile, 1, lambda: checks.append(len(function.seen)))
    assert checks == list(range(len(function.seen)))


def test_a_check_that_raises_stops_the_work() -> None:
    function = Convolutions(1)

    def check() -> None:
        if len(function.seen) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        apply_tiled(function, frame(32, 32), 8, 1, check)
    assert len(function.seen) == 2


def test_a_negative_tile_is_refused() -> None:
    with pytest.raises(SettingError, match=r"at least 0 pixels .* got -1"):
        apply_tiled(Convolutions(1), frame(8, 8), -1, 1, lambda: None)
