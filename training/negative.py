"""What the negative branch is given: cleaned frames mixed with noise, then torn (paper section 3.2, ``specs`` 3)."""

import numpy as np
import torch
from torch import Tensor

GRID = 16
"""Patches along each side."""


def random_turns(rng: np.random.Generator) -> Tensor:
    """Quarter turns of every patch, (16,16) from 0 to 3.

    p is one of 0, .1, ..., 1; each patch is turned with probability p, by 0 to 5 quarters (so that none at all and one
    come up twice as often as the others).
    """
    p = rng.integers(0, 11) / 10
    turned = rng.random((GRID, GRID)) < p
    return torch.from_numpy(np.where(turned, rng.integers(0, 6, (GRID, GRID)) % 4, 0))


def spoil(cleaned: Tensor, noise: Tensor, turns: Tensor) -> Tensor:
    """x- = rot_p(cleaned / 2 + noise / 2).

    Args:
        cleaned: (B,T,3,H,W), square, the side a multiple of 16.
        noise: the same shape.
        turns: (B,16,16), quarter turns (counter-clockwise) of each patch, the same for all frames of a clip.

    Returns:
        (B,T,3,H,W).
    """
    mixed = 0.5 * cleaned + 0.5 * noise
    side = mixed.shape[-1] // GRID
    patches = mixed.unflatten(-1, (GRID, side)).unflatten(-3, (GRID, side))  # (B,T,3,Y,h,X,w)
    patches = patches.transpose(-3, -2)  # (B,T,3,Y,X,h,w)
    chosen = turns[:, None, None, :, :, None, None]
    torn = patches
    for quarters in (1, 2, 3):
        torn = torch.where(chosen == quarters, torch.rot90(patches, quarters, (-2, -1)), torn)
    return torn.transpose(-3, -2).flatten(-4, -3).flatten(-2, -1)
