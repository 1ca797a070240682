"""Which frames STAR's network sees, and how frames are padded and cut: pure arithmetic."""

import json
from itertools import product

import pytest
import torch

from textovsr.core.diffusion.tiles import average_tiles
from textovsr.core.overlaps import with_context
from textovsr.core.restorers.star.canvas import LATENT, ODD, STEP, Canvas, latent_tiling, published_rim
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.restorers.star.windows import kept_frames, step_windows
from textovsr.tests.helpers.rule import GOLDEN

PUBLISHED = json.loads((GOLDEN / "star_chunks_pads.json").read_text("utf-8"))


@pytest.mark.parametrize("case", PUBLISHED["chunks"])
def test_windows_are_the_published_ones(case: str) -> None:
    total, length = map(int, case.split("/"))
    assert [[window.start, window.stop] for window in step_windows(total, length)] == PUBLISHED["chunks"][case]


@pytest.mark.parametrize("length", [1, 2, 3, 8, 12, 17, 32])
def test_every_frame_is_asked_for_once(length: int) -> None:
    """The published code fails from one frame more than a window to a quarter more, 33 to 40."""
    for total in range(1, 101):
        windows = step_windows(total, length)
        kept = kept_frames(windows)
        assert [frame for part in kept for frame in part] == list(range(total))
        assert all(part and part.start >= window.start for part, window in zip(kept, windows, strict=True))
        assert all(part.stop <= window.stop for part, window in zip(kept, windows, strict=True))
        assert max(map(len, windows)) <= 1.25 * length


def test_neighbours_meet_in_the_middle_of_what_they_share() -> None:
    assert step_windows(20, 8) == (range(8), range(4, 12), range(8, 16), range(12, 20))
    assert kept_frames(step_windows(20, 8)) == (range(6), range(6, 10), range(10, 14), range(14, 20))


@pytest.mark.parametrize("case", PUBLISHED["pads(w1,w2,h1,h2)"])
def test_the_published_rim(case: str) -> None:
    height, width = map(int, case.split("x"))
    assert list(published_rim(height, width)) == PUBLISHED["pads(w1,w2,h1,h2)"][case]


@pytest.mark.parametrize("config", [StarConfig(), StarConfig.published()], ids=["ours", "published"])
def test_any_size_becomes_one_that_the_network_takes(config: StarConfig) -> None:
    for frame in product((16, 17, 31, 90, 179, 180, 181, 270), (16, 23, 160, 319, 320, 321, 480)):
        canvas = Canvas.of(frame, config)
        assert canvas.padded[0] % STEP == ODD
        assert canvas.padded[1] % STEP == 0
        assert canvas.grid[0] % 8 == 2
        assert canvas.grid[1] % 8 == 0
        if config == StarConfig():
            assert all(0 <= b - a < STEP for a, b in zip(canvas.enlarged, canvas.padded, strict=True)), "no more"


@pytest.mark.parametrize("config", [StarConfig(), StarConfig.published()], ids=["ours", "published"])
def test_what_is_padded_is_cut_off_again(config: StarConfig) -> None:
    canvas = Canvas.of((20, 22), config)
    enlarged = canvas.enlarge(torch.rand(3, 20, 22))
    padded = canvas.pad(enlarged)
    assert padded.shape == (3, *canvas.padded)
    torch.testing.assert_close(canvas.finish(padded), enlarged, rtol=0, atol=1e-6)
    assert (padded[:, -1, -1] == 1).all() == canvas.white


def test_tiles_are_of_sizes_that_the_network_takes() -> None:
    """And cover the frame, wherever the last one of a row has to begin."""
    for grid in ((122, 216), (90, 160), (42, 80), (10, 104)):
        tiling = latent_tiling(256)
        for rows, columns in tiling.places(*grid):
            assert (rows.stop - rows.start) % 8 == 2
            assert (columns.stop - columns.start) % 8 == 0
        field = torch.rand(4, *grid)
        tiled = average_tiles(lambda rows, columns, field=field: field[..., rows, columns], grid, tiling)
        torch.testing.assert_close(tiled, field, rtol=0, atol=1e-5)


def test_sides_of_tiles_go_through_the_plan_and_back() -> None:
    canvas = Canvas.of((270, 480), StarConfig())
    assert [canvas.tile_side(canvas.input_side(side)) for side in (0, 64, 256, 1024, 4096)] == [0, 64, 256, 1024, 0]
    assert canvas.tile_side(1) == STEP
    assert canvas.tile_side(479) == 1856
    assert latent_tiling(canvas.tile_side(16)).tile == STEP // LATENT


def test_groups_are_decoded_with_the_frames_beside_them() -> None:
    assert with_context(range(2, 8), 9, 3, 2) == [(range(2, 5), range(7)), (range(5, 8), range(3, 9))]
    alone = [range(3), range(3, 6), range(6, 7)]
    assert with_context(range(7), 7, 3, 0) == [(part, part) for part in alone]


def test_published_groups_go_on_in_the_next_span() -> None:
    published = StarConfig.published()
    assert (published.span - published.overlap) % published.group == 0
