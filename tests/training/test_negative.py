"""Tearing: patches turn in place, pixels are mixed half and half."""

import numpy as np
import torch

from textovsr.training.negative import random_turns, spoil


def clip() -> torch.Tensor:
    return torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_without_turns_it_is_a_mixture() -> None:
    a, b = clip(), clip().flip(3)
    torch.testing.assert_close(spoil(a, b, torch.zeros(2, 16, 16)), 0.5 * a + 0.5 * b)


def test_only_the_chosen_patch_turns() -> None:
    a = clip()
    turns = torch.zeros(2, 16, 16)
    turns[1, 2, 5] = 1
    torn = spoil(a, a, turns)
    expected = a.clone()
    expected[1, :, :, 8:12, 20:24] = torch.rot90(a[1, :, :, 8:12, 20:24], 1, (-2, -1))
    torch.testing.assert_close(torn, expected)


def test_turning_back_gives_the_clip_again() -> None:
    a = clip()
    turns = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (2, 16, 16)))
    torch.testing.assert_close(spoil(*2 * (spoil(a, a, turns),), (4 - turns) % 4), a)


def test_gradients_reach_the_cleaned_clip() -> None:
    a = clip().requires_grad_()
    spoil(a, clip(), torch.ones(2, 16, 16)).sum().backward()
    torch.testing.assert_close(a.grad, torch.full_like(a, 0.5))


def test_turns_are_as_often_as_drawn() -> None:
    """p is uniform on 0, .1, ... 1, so half the patches take part; of these 1/3 turn by 0, 1/3 by 1, 1/6 by 2 and 3."""
    rng = np.random.default_rng(0)
    turns = torch.stack([random_turns(rng) for _ in range(400)])
    shares = [float((turns == quarters).double().mean()) for quarters in range(4)]
    np.testing.assert_allclose(shares, [1 / 2 + 1 / 6, 1 / 6, 1 / 12, 1 / 12], atol=0.03)
