import math

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.errors import ShapeError
from textovsr.core.quality.temporal import Motion, find_motion, find_motion_small, flicker, warping_error


class Shift(nn.Module):
    """Says that everything moves by ``pixels`` to the right a frame, in the order it is asked."""

    def __init__(self, *pixels: float) -> None:
        super().__init__()
        self.pixels = list(pixels)

    def forward(self, reference: Tensor, support: Tensor) -> Tensor:
        flow = torch.zeros(1, 2, *reference.shape[-2:])
        flow[:, 0] = self.pixels.pop(0)
        return flow


def moving(frames: int, size: int = 24) -> Tensor:
    """A texture that moves one pixel to the right a frame, (T,3,H,W)."""
    wide = torch.rand(3, size, size + frames, generator=torch.Generator().manual_seed(1))
    return torch.stack([wide[:, :, frames - i : frames - i + size] for i in range(frames)])


def test_what_follows_the_motion_is_steady() -> None:
    clip = moving(3)
    motions = find_motion(clip, Shift(-1, 1, -1, 1))
    assert warping_error(clip, motions) == pytest.approx(0, abs=1e-10)
    assert warping_error(clip, find_motion(clip, Shift(0, 0, 0, 0))) > 0.1


def test_flicker_counts_by_its_square() -> None:
    clip = moving(4)
    motions = find_motion(clip, Shift(*[-1, 1] * 3))
    flicker = torch.tensor([0.0, 0.1, 0.0, 0.1]).view(4, 1, 1, 1)
    assert warping_error(clip + flicker, motions) == pytest.approx(0.01, rel=1e-4)


def test_what_comes_in_at_the_border_is_not_visible() -> None:
    visible = find_motion(moving(2), Shift(-1, 1))[0].visible[0, 0]
    assert visible[:, 0].sum() == 0
    assert bool(visible[:, 1:].all())


def test_flow_that_does_not_return_is_occlusion() -> None:
    assert find_motion(moving(2), Shift(-1, 4))[0].visible.sum() == 0


def test_hidden_pixels_do_not_count() -> None:
    clip = torch.zeros(2, 3, 8, 8)
    clip[1, :, :4] = 1
    visible = torch.ones(1, 1, 8, 8)
    visible[..., :4, :] = 0
    flow = torch.zeros(1, 2, 8, 8)
    assert warping_error(clip, [Motion(flow, visible)]) == 0
    assert warping_error(clip, [Motion(flow, torch.ones_like(visible))]) == pytest.approx(0.5)


def test_motions_and_frames_have_to_fit() -> None:
    with pytest.raises(ShapeError, match="a clip of 1 frames, two or more, got 3"):
        warping_error(moving(3), [])


def still(seed: int = 1) -> Tensor:
    return torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.2


def test_a_brighter_frame_is_flicker_and_a_slow_change_is_none() -> None:
    x = still()
    level = 0.02 * 219
    assert flicker(x, x + 0.02, x) == pytest.approx(level, rel=1e-3)
    assert flicker(x, x + 0.02, x + 0.04) == pytest.approx(0, abs=1e-3)
    assert flicker(x, x + 0.02, x - 0.02) == pytest.approx(1.5 * level, rel=1e-3)


def test_noise_is_flicker() -> None:
    noisy = [still() + 0.01 * torch.randn(3, 40, 40, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    assert 0.8 < flicker(*noisy) < 3


def test_what_moves_is_left_out() -> None:
    before, middle, after = still(), still().clone(), still().clone()
    middle[:, :20] = 0
    after[:, :20] = 1
    assert flicker(before, middle, after) < 0.2 * flicker(before, middle, before)
    ramp = torch.linspace(0, 1, 200)[:, None].expand(3, 200, 12)
    assert math.isnan(flicker(torch.zeros_like(ramp), ramp / 2, ramp))


def test_flow_found_at_less_pixels_is_that_of_all_of_them() -> None:
    class Half(nn.Module):
        def forward(self, reference: Tensor, support: Tensor) -> Tensor:
            assert reference.shape[-2:] == (16, 32)
            return torch.full((1, 2, 16, 32), 0.5)

    motion = find_motion_small(torch.zeros(1, 3, 32, 64), torch.zeros(1, 3, 32, 64), Half(), side=32)
    assert motion.flow.shape == (1, 2, 32, 64)
    assert float(motion.flow.mean()) == pytest.approx(1.0)
