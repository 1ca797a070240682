"""Tiles: the same result as the whole frame, in pieces that can be cancelled."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import CancelledError, SettingError
from textovsr.core.tiles import Tiles, apply_tiled

SIDES, TILES, AT_ONCE = st.integers(1, 40), st.integers(0, 24), st.integers(1, 5)


class Convolutions:
    """A stack of 3x3 convolutions with ReLU, and a pixel shuffle that enlarges; ``seen`` are the sizes it was given."""

    def __init__(self, depth: int, scale: int = 1) -> None:
        generator = torch.Generator().manual_seed(depth)
        widths = [2] * depth + [3 * scale**2]
        self.weights = [torch.randn(b, a, 3, 3, generator=generator) / 4 for a, b in pairwise(widths)]
        self.scale = scale
        self.seen: list[torch.Size] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.seen.append(x.shape)
        for weight in self.weights:
            x = F.relu(F.conv2d(x, weight, padding=1))
        return F.pixel_shuffle(x, self.scale)


def frame(height: int, width: int, frames: int = 1) -> Tensor:
    return torch.rand(frames, 2, height, width, generator=torch.Generator().manual_seed(0))


@settings(deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    tile=TILES,
    depth=st.integers(1, 4),
    more=st.integers(0, 3),
    frames=st.integers(1, 3),
    at_once=AT_ONCE,
    scale=st.sampled_from([1, 4]),
)
def test_tiles_make_the_whole(
    height: int, width: int, tile: int, depth: int, more: int, frames: int, at_once: int, scale: int
) -> None:
    function, x = Convolutions(depth, scale), frame(height, width, frames)
    found = apply_tiled(function, x, Tiles(tile, depth + more, at_once, scale))
    torch.testing.assert_close(found, function(x), rtol=0, atol=1e-4)


def test_several_inputs_are_cut_alike() -> None:
    function, x = Convolutions(1), frame(20, 30)
    found = apply_tiled(lambda a, b: function(a) + b[:, :1], (x, x + 1), Tiles(7, 2, at_once=3))
    torch.testing.assert_close(found, function(x) + x[:, :1] + 1, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(height=SIDES, width=SIDES, tile=st.integers(1, 24), halo=st.integers(0, 5), at_once=AT_ONCE)
def test_no_tile_is_larger_than_asked_for_and_no_batch(
    height: int, width: int, tile: int, halo: int, at_once: int
) -> None:
    function, tiles = Convolutions(1), Tiles(tile, halo, at_once)
    apply_tiled(function, frame(height, width), tiles)
    assert all(max(size[2:]) <= tile + 2 * halo for size in function.seen)
    assert max(size[0] for size in function.seen) <= at_once
    assert max(size[2] * size[3] for size in function.seen) <= tiles.pixels(height, width)
    assert sum(size[0] for size in function.seen) == tiles.count(height, width)


@settings(deadline=None)
@given(height=SIDES, width=SIDES, tile=st.integers(1, 24), halo=st.integers(0, 5), at_once=AT_ONCE)
def test_batches_are_few(height: int, width: int, tile: int, halo: int, at_once: int) -> None:
    """Corners, two kinds of edges and what lies between them: four sizes of tiles at most."""
    function, tiles = Convolutions(1), Tiles(tile, halo, at_once)
    apply_tiled(function, frame(height, width), tiles)
    assert len({size[2:] for size in function.seen}) <= 4
    assert len(function.seen) <= tiles.count(height, width) / at_once + 4


@settings(deadline=None)
@given(height=SIDES, width=SIDES, tile=TILES, at_once=AT_ONCE)
def test_there_is_a_check_before_every_batch(height: int, width: int, tile: int, at_once: int) -> None:
    function, checks = Convolutions(1), []
    apply_tiled(function, frame(height, width), Tiles(tile, 1, at_once), lambda: checks.append(len(function.seen)))
    assert checks == list(range(len(function.seen)))


def test_a_check_that_raises_stops_the_work() -> None:
    function = Convolutions(1)

    def check() -> None:
        if len(function.seen) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        apply_tiled(function, frame(32, 32), Tiles(8, 1), check)
    assert len(function.seen) == 2


def test_a_negative_tile_is_refused() -> None:
    with pytest.raises(SettingError, match=r"at least 0 pixels .* got -1"):
        Tiles(-1, 1)
