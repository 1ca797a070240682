"""Losses: values that can be worked out, and what each must not see."""

import math

import pytest
import torch
from torch import Tensor

from textovsr.training.losses import (
    adversarial_loss,
    charbonnier,
    cleaning_loss,
    edge_loss,
    matching_loss,
    sharpened,
    temporal_loss,
)


def clip(seed: int = 0, frames: int = 3) -> Tensor:
    return torch.rand(2, frames, 3, 32, 48, generator=torch.Generator().manual_seed(seed))


def test_charbonnier_is_l1_far_out_and_smooth_at_zero() -> None:
    x = torch.zeros(4, requires_grad=True)
    assert float(charbonnier(x.detach(), torch.full((4,), 0.5))) == pytest.approx(0.5, abs=1e-5)
    charbonnier(x, torch.zeros(4)).backward()
    assert torch.equal(x.grad, torch.zeros(4))


def test_a_cleaned_clip_is_compared_with_the_area_of_the_truth() -> None:
    hr = clip()
    area = hr.unflatten(-1, (12, 4)).unflatten(-3, (8, 4)).mean(dim=(-1, -3))
    assert float(cleaning_loss(area, hr)) == pytest.approx(0, abs=1e-6)
    assert float(cleaning_loss(area + 0.1, hr)) == pytest.approx(0.1, abs=1e-5)


def test_edges_do_not_see_colour_and_see_blur() -> None:
    hr = clip()
    assert float(edge_loss(hr + 0.2, hr)) == pytest.approx(0, abs=1e-6)
    blurred = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 3, 1, 1).unflatten(0, (2, 3))
    assert float(edge_loss(blurred, hr)) > float(edge_loss(0.9 * hr, hr)) > 0


def test_an_edge_counts_by_its_height_at_every_scale() -> None:
    """One vertical edge of height .5, between columns 32 and 33 of 64: 1/63, 1/31 and 1/15 of the differences."""
    hr = torch.zeros(1, 1, 3, 64, 64)
    out = hr.clone()
    out[..., 32:] = 0.5
    assert float(edge_loss(out, hr)) == pytest.approx(0.5 * (1 / 63 + 1 / 31 + 1 / 15) / 3, rel=1e-5)


def test_flicker_counts_and_a_steady_error_does_not() -> None:
    hr = clip()
    assert float(temporal_loss(hr + 0.1, hr)) == pytest.approx(0, abs=1e-6)
    flicker = torch.tensor([0.1, -0.1, 0.1]).view(3, 1, 1, 1)
    assert float(temporal_loss(hr + flicker, hr)) == pytest.approx(0.2, abs=1e-6)
    assert float(temporal_loss(hr[:, :1], clip(1)[:, :1])) == 0


def test_sharpening_overshoots_at_edges_and_leaves_flat_places_alone() -> None:
    hr = torch.full((1, 1, 3, 96, 96), 0.4)
    hr[..., 48:] = 0.6
    sharp = sharpened(hr, 0.5)
    assert float(sharp[0, 0, 0, 48, 46]) < 0.39
    assert float(sharp[0, 0, 0, 48, 49]) > 0.61
    assert float((sharp - hr)[..., :8].abs().max()) < 5e-3
    assert torch.equal(sharpened(hr, 0), hr)


def test_detail_below_the_threshold_is_not_sharpened() -> None:
    hr = torch.full((1, 1, 3, 96, 96), 0.4)
    hr[..., 48:] += 9 / 255
    torch.testing.assert_close(sharpened(hr, 0.5), hr)


def test_the_sharpened_truth_stays_in_range() -> None:
    sharp = sharpened(clip().round(), 0.5)
    assert 0 <= sharp.min() <= sharp.max() <= 1


def test_an_undecided_verdict_costs_log_two() -> None:
    logits = torch.zeros(2, 1, 4, 4)
    assert float(adversarial_loss(logits, real=True)) == pytest.approx(math.log(2))
    assert float(adversarial_loss(logits + 9, real=True)) < 1e-3 < float(adversarial_loss(logits + 9, real=False))


def test_features_are_matched_by_their_size_and_the_truth_learns_nothing() -> None:
    true = [torch.full((1, 2, 4, 4), 10.0, requires_grad=True), torch.full((1, 2, 8, 8), 0.1, requires_grad=True)]
    made = [feature.detach() * 1.5 for feature in true]
    loss = matching_loss([feature.requires_grad_() for feature in made], true)
    assert float(loss.detach()) == pytest.approx(0.5, rel=1e-3)
    loss.backward()
    assert true[0].grad is None
    assert made[0].grad is not None
