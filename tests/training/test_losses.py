"""Losses."""

import pytest
import torch

from textovsr.training.losses import charbonnier, cleaning_loss


def test_charbonnier_is_l1_far_out_and_smooth_at_zero() -> None:
    x = torch.zeros(4, requires_grad=True)
    assert float(charbonnier(x.detach(), torch.full((4,), 0.5))) == pytest.approx(0.5, abs=1e-5)
    charbonnier(x, torch.zeros(4)).backward()
    assert torch.equal(x.grad, torch.zeros(4))


def test_a_cleaned_clip_is_compared_with_the_area_of_the_truth() -> None:
    hr = torch.rand(2, 3, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    area = hr.unflatten(-1, (12, 4)).unflatten(-3, (8, 4)).mean(dim=(-1, -3))
    assert float(cleaning_loss(area, hr)) == pytest.approx(0, abs=1e-6)
    assert float(cleaning_loss(area + 0.1, hr)) == pytest.approx(0.1, abs=1e-5)
