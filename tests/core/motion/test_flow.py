"""The flow of a clip: which way is which, and what resizing does to it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import CancelledError, ShapeError
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.motion.config import MotionConfig
from textovsr.core.motion.flow import find_clip_motion, resize, shrink, to_grid, working_size
from textovsr.core.motion.networks import load_spynet
from textovsr.models.spynet import SPyNet
from textovsr.models.warp import warp
from textovsr.tests.core.motion.moving import Numbered, numbered, panning, ready

MARGIN = 12
"""Pixels at the border that a flow net knows little about."""


@pytest.fixture(scope="module")
def spynet() -> SPyNet:
    return load_spynet()


def inner(x: Tensor) -> Tensor:
    return x[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def of(clip: Tensor, spynet: SPyNet) -> ClipMotion:
    return find_clip_motion(clip, (clip.shape[-2], clip.shape[-1]), ready(spynet), MotionConfig())


def test_a_still_clip_does_not_move(spynet: SPyNet) -> None:
    motion = of(panning(2, 0, 0), spynet)
    assert motion.forward_flow.abs().mean() < 0.1
    assert not motion.forward_occluded.any()
    assert not motion.backward_occluded.any()


@pytest.mark.parametrize(("x", "y"), [(3, 0), (0, -2), (-2, 1)])
def test_what_moves_right_and_down_has_a_positive_forward_flow(x: int, y: int, spynet: SPyNet) -> None:
    motion = of(panning(2, x, y), spynet)
    shift = torch.tensor([float(x), float(y)])
    torch.testing.assert_close(inner(motion.forward_flow[0]).flatten(1).median(1).values, shift, rtol=0, atol=0.15)
    torch.testing.assert_close(inner(motion.backward_flow[0]).flatten(1).median(1).values, -shift, rtol=0, atol=0.15)
    assert inner(motion.forward_occluded).mean() < 0.1


def test_the_next_frame_moved_along_the_forward_flow_shows_this_one(spynet: SPyNet) -> None:
    clip = panning(3, 3, -2)
    motion = of(clip, spynet)
    for i in range(2):
        still = inner(clip[i] - clip[i + 1]).abs().mean()
        forth = inner(warp(clip[i + 1][None], motion.forward_flow[i : i + 1])[0] - clip[i]).abs().mean()
        back = inner(warp(clip[i][None], motion.backward_flow[i : i + 1])[0] - clip[i + 1]).abs().mean()
        assert max(forth, back) < 0.15 * still


def test_there_and_back_shows_the_frame_again(spynet: SPyNet) -> None:
    clip = panning(2, 3, 2)
    motion = of(clip, spynet)
    there = warp(clip[:1], motion.backward_flow)
    back = warp(there, motion.forward_flow)
    assert inner(back - clip[:1]).abs().mean() < 0.2 * inner(clip[:1] - clip[1:]).abs().mean()


def test_a_pair_s_place_and_direction() -> None:
    """[i] of both flows belongs to frames i and i+1."""
    clip = torch.cat([numbered(2), numbered(8)[5:7], numbered(1)])  # 0, 1, 5, 6, 0
    motion = find_clip_motion(clip, (32, 48), ready(Numbered()), MotionConfig())
    assert motion.forward_flow[:, 1].amax((1, 2)).tolist() == [-1, -4, -1, 6]
    assert motion.backward_flow[:, 1].amax((1, 2)).tolist() == [1, 4, 1, -6]


@pytest.mark.parametrize("grid", [(4, 6), (8, 12), (32, 48), (5, 7), (64, 96)])
def test_vectors_are_scaled_with_the_grid(grid: tuple[int, int]) -> None:
    net = Numbered()
    motion = find_clip_motion(numbered(2), grid, ready(net), MotionConfig(finer=4))
    expected = torch.tensor([grid[1] / 100, -grid[0] / net.sizes[0][-2]]).view(1, 2, 1, 1).expand(1, 2, *grid)
    torch.testing.assert_close(motion.forward_flow, expected)


def test_large_pictures_are_worked_on_small_and_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textovsr.core.motion.flow.FLOW_PIXELS", 3 * 18 * 32)
    net, checks = Numbered(), [0]

    def check() -> None:
        checks[0] += 1

    motion = find_clip_motion(numbered(5, (144, 256)), (9, 16), ready(net), MotionConfig(side=40), check)
    assert net.sizes == [(3, 3, 18, 32), (3, 3, 18, 32), (2, 3, 18, 32)]
    assert checks == [3]
    assert motion.length == 5


def test_a_check_that_raises_stops_it() -> None:
    def check() -> None:
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        find_clip_motion(numbered(2), (4, 6), ready(Numbered()), MotionConfig(), check)


def test_one_frame_has_no_pairs() -> None:
    motion = find_clip_motion(numbered(1), (4, 6), ready(Numbered()), MotionConfig())
    assert motion.length == 1
    assert motion.size == (4, 6)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 1, 8, 8), (2, 8, 8)])
def test_what_is_no_clip_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="Expected frames"):
        find_clip_motion(torch.zeros(shape), (4, 4), ready(Numbered()), MotionConfig())


def test_the_result_may_be_saved_for_a_gradient(spynet: SPyNet) -> None:
    with torch.inference_mode():
        clip = panning(2, 1, 0, (32, 32))
        motion = find_clip_motion(clip, (32, 32), ready(spynet), MotionConfig())
    x = torch.rand(1, 4, 32, 32, requires_grad=True)
    warp(x, motion.forward_flow).sum().backward()
    assert x.grad is not None


sides = st.integers(1, 2000)


@given(
    grid=st.tuples(sides, sides),
    picture=st.tuples(sides, sides),
    side=st.integers(16, 1024),
    most=st.sampled_from([1, 2, 4, 8]),
)
def test_the_working_size_is_limited(grid: tuple[int, int], picture: tuple[int, int], side: int, most: int) -> None:
    found = working_size(grid, picture, MotionConfig(side=side, finer=most))
    assert max(found) <= side
    assert min(found) >= 1
    if max(grid) <= side:
        assert found[0] % grid[0] == found[1] % grid[1] == 0
        finer = found[0] // grid[0]
        assert finer in (1, 2, 4, 8)
        assert finer <= most
        assert finer == 1 or max(found) <= max(picture)


def test_coming_down_by_halves_is_an_average() -> None:
    flow = torch.rand(1, 2, 16, 24, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.avg_pool2d(flow, 4) / 4
    torch.testing.assert_close(to_grid(flow, (4, 6)), expected)
    assert to_grid(flow, (16, 24)) is flow


@pytest.mark.parametrize(("size", "expected"), [((50, 100), (50, 100)), ((200, 100), (100, 50)), ((1, 300), (1, 100))])
def test_shrinking_never_enlarges(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shrink(torch.zeros(3, *size), 100).shape == (3, *expected)


def test_resizing_counts_every_pixel() -> None:
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::8] = 8.0
    torch.testing.assert_close(resize(stripes, (8, 8))[..., 2:6, 2:6], torch.ones(1, 3, 4, 4), rtol=0.2, atol=0)
