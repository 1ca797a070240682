"""MGLD-VSR's losses for its video autoencoder: worked out by hand; what does not count; where gradient goes."""

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.motion.occlusion import occlusion
from textovsr.training.losses import structure_weighted_warp_loss, temporal_loss

SIZE = (12, 20)
STEP = 3  # pixels to the right, a frame


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def still(frames: int) -> ClipMotion:
    """Nothing moves and everything is seen."""
    flow, mask = torch.zeros(frames - 1, 2, *SIZE), torch.zeros(frames - 1, 1, *SIZE)
    return ClipMotion(flow, flow, mask, mask)


def moving(frames: int) -> ClipMotion:
    """Everything goes ``STEP`` pixels to the right with every frame."""
    forward = torch.zeros(frames - 1, 2, *SIZE)
    forward[:, 0] = STEP
    return ClipMotion(forward, -forward, occlusion(forward, -forward), occlusion(-forward, forward))


def panned(frames: int, seed: int = 0) -> Tensor:
    """(1,T,3,H,W): noise that goes to the right."""
    wide = noise(3, SIZE[0], SIZE[1] + STEP * frames, seed=seed)
    starts = [STEP * (frames - i) for i in range(frames)]
    return torch.stack([wide[..., start : start + SIZE[1]] for start in starts])[None]


def test_a_result_that_moves_as_the_truth_does_costs_nothing() -> None:
    """Other frames than the truth's may, too: it is their steadiness that counts."""
    for result in (panned(4), panned(4, seed=1)):
        loss = structure_weighted_warp_loss(result, panned(4), [moving(4)])
        assert float(loss) == pytest.approx(0, abs=1e-6)
    assert float(structure_weighted_warp_loss(panned(4), panned(4), [still(4)])) > 0.1


@pytest.mark.parametrize("frames", [2, 5])
def test_each_pair_counts_both_ways_as_a_mean(frames: int) -> None:
    """Frames of 0 and .25 in turn, a flat truth: .25 a pixel, there and back."""
    result = torch.full((2, frames, 3, *SIZE), 0.25)
    result[:, ::2] = 0
    truth = torch.full_like(result, 0.5)
    assert float(structure_weighted_warp_loss(result, truth, [still(frames)] * 2)) == pytest.approx(0.5)


@pytest.mark.parametrize(("structure", "weight"), [(0.0, 1.0), (3.0, 1 + 3 * 0.04), (5.0, 1 + 5 * 0.04)])
def test_edges_of_the_truth_count_more(structure: float, weight: float) -> None:
    """A ramp of .02 a pixel in [0,1], .04 in [-1,1]; the first and the last column see half of it."""
    truth = (0.1 + 0.02 * torch.arange(SIZE[1])).expand(1, 2, 3, *SIZE).contiguous()
    for column, expected in ((7, weight), (0, (1 + weight) / 2)):
        result = truth.clone()
        result[:, 1, :, :, column] += 0.5
        loss = structure_weighted_warp_loss(result, truth, [still(2)], structure)
        assert float(loss) == pytest.approx(2 * 0.5 * expected / SIZE[1], rel=1e-4)


def test_the_edges_are_those_of_the_frame_that_is_compared() -> None:
    """Frame 0 of the truth is flat and frame 1 is not: the way onto frame 0 counts 1, that onto frame 1 more."""
    truth = torch.full((1, 2, 3, *SIZE), 0.5)
    truth[:, 1] = (0.02 * torch.arange(SIZE[1])).expand(3, *SIZE)
    result = torch.zeros_like(truth)
    result[:, 1, :, :, 7] = 0.5
    loss = structure_weighted_warp_loss(result, truth, [still(2)])
    assert float(loss) == pytest.approx(0.5 * (1 + 1.12) / SIZE[1], rel=1e-4)


def test_occluded_pixels_do_not_count() -> None:
    """Column 4 of frame 0 is hidden in frame 1, column 9 of frame 1 was hidden in frame 0."""
    motion = still(2)
    motion = ClipMotion(
        motion.forward_flow, motion.backward_flow, motion.forward_occluded.clone(), motion.forward_occluded.clone()
    )
    motion.forward_occluded[..., 4] = 1
    motion.backward_occluded[..., 9] = 1
    truth = torch.full((1, 2, 3, *SIZE), 0.5)
    one_way = 0.5 / SIZE[1]
    for column, expected in ((4, one_way), (9, one_way), (6, 2 * one_way)):
        result = torch.zeros_like(truth)
        result[:, 0, :, :, column] = 0.5
        assert float(structure_weighted_warp_loss(result, truth, [motion])) == pytest.approx(expected)
    motion.backward_occluded[..., 4] = 1
    result = torch.zeros_like(truth)
    result[..., 4] = noise(1, 2, 3, SIZE[0])
    assert float(structure_weighted_warp_loss(result, truth, [motion])) == 0


def test_a_clip_follows_its_own_motion() -> None:
    both = torch.cat((panned(3), panned(1).expand(-1, 3, -1, -1, -1)))
    assert float(structure_weighted_warp_loss(both, both, [moving(3), still(3)])) == pytest.approx(0, abs=1e-6)
    assert float(structure_weighted_warp_loss(both, both, [still(3), moving(3)])) > 0.1


def test_gradient_reaches_the_result_alone() -> None:
    result, truth = noise(1, 3, 3, *SIZE).requires_grad_(), noise(1, 3, 3, *SIZE, seed=1).requires_grad_()
    parts = [part.clone().requires_grad_() for part in vars(moving(3)).values()]
    (structure_weighted_warp_loss(result, truth, [ClipMotion(*parts)]) + temporal_loss(result, truth)).backward()
    assert result.grad is not None
    assert (result.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all()
    assert [part.grad for part in (truth, *parts)] == [None] * 5


def test_the_gradient_is_that_of_the_value() -> None:
    """Against finite differences, away from where two frames are equal."""
    result = noise(1, 3, 1, 5, 6, seed=2).double().requires_grad_()
    flow = noise(2, 2, 5, 6, seed=3).double() * 2 - 1
    mask = torch.zeros(2, 1, 5, 6, dtype=torch.double)
    motion = ClipMotion(flow, flow.flip(0), mask, mask)
    truth = noise(1, 3, 1, 5, 6, seed=4).double()
    assert torch.autograd.gradcheck(lambda x: structure_weighted_warp_loss(x, truth, [motion]), result, eps=1e-7)


def test_the_loss_leads_to_a_steady_clip() -> None:
    """Noise that may only follow the truth's motion becomes what moves as it does."""
    result, truth = noise(1, 3, 3, *SIZE, seed=5).requires_grad_(), panned(3)
    optimizer = torch.optim.Adam([result], lr=0.02)
    first = float(structure_weighted_warp_loss(result.detach(), truth, [moving(3)]))
    for _ in range(60):
        optimizer.zero_grad()
        loss = structure_weighted_warp_loss(result, truth, [moving(3)])
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1 * first


def test_single_frames_cost_nothing() -> None:
    result = noise(2, 1, 3, *SIZE).requires_grad_()
    assert float(structure_weighted_warp_loss(result, noise(2, 1, 3, *SIZE, seed=1), [still(1)] * 2)) == 0


@pytest.mark.parametrize("motions", [[], [still(3)], [still(2)] * 3, [still(2), still(3)]])
def test_a_motion_for_every_clip_and_of_its_frames(motions: list[ClipMotion]) -> None:
    clips = noise(2, 2, 3, *SIZE)
    with pytest.raises(ShapeError, match=r"Expected motions of \[\(2, \(12, 20\)\), \(2, \(12, 20\)\)\].*got "):
        structure_weighted_warp_loss(clips, clips, motions)


def test_other_sizes_are_refused() -> None:
    clips = noise(1, 2, 3, *SIZE)
    with pytest.raises(ShapeError, match=r"got \(1, 2, 3, 12, 20\) and \(1, 2, 3, 12, 19\)"):
        structure_weighted_warp_loss(clips, clips[..., :-1], [still(2)])
    with pytest.raises(ShapeError, match=r"got \(2, 3, 12, 20\) and"):
        structure_weighted_warp_loss(clips[0], clips[0], [still(2)])
    with pytest.raises(ShapeError, match="find them on the truth's own grid"):
        structure_weighted_warp_loss(clips[..., :6], clips[..., :6], [still(2)])
