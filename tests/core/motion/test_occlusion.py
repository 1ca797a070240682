"""Occlusion: its formula by hand, and what a moving square hides and uncovers."""

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.core.motion.occlusion import occlusion


def constant(x: float, y: float, height: int = 12, width: int = 16) -> Tensor:
    return torch.tensor([float(x), float(y)]).view(1, 2, 1, 1).expand(1, 2, height, width).clone()


def test_what_stands_still_is_seen() -> None:
    assert not occlusion(constant(0, 0), constant(0, 0)).any()


def test_a_shift_that_returns_is_seen_but_for_what_leaves_the_picture() -> None:
    found = occlusion(constant(3, 0), constant(-3, 0))[0, 0]
    assert found[:, -3:].all()
    assert not found[:, :-3].any()


@pytest.mark.parametrize(
    ("there", "gap", "seen"),
    [(0.0, 0.49, True), (0.0, 0.51, False), (10.0, 0.69, True), (10.0, 0.71, False)],
)
def test_the_bound_grows_with_the_lengths_of_both(there: float, gap: float, seen: bool) -> None:
    """Vertical, in a picture so high that it is never left: .01 (10 + 10 - gap) + .5 is 0.693 for a gap of .69."""
    found = occlusion(constant(0, there, 60, 4), constant(0, gap - there, 60, 4))
    assert bool(found[0, 0, 20, 2] == 0) is seen


def test_norms_are_summed_and_not_squared() -> None:
    """|f| = |b| = 20 and a gap of .8: .01 (20 + 20) + .5 = .9 is not passed; .01 * 800 + .5 squared would allow 2.9."""
    assert not occlusion(constant(0, 20, 90, 4), constant(0, -19.2, 90, 4))[0, 0, 30, 2].any()
    assert occlusion(constant(0, 20, 90, 4), constant(0, -19.0, 90, 4))[0, 0, 30, 2].all()


def test_a_square_hides_what_it_moves_over_and_uncovers_what_it_leaves() -> None:
    """A 4x4 square at columns 4-7, rows 3-6, goes 3 to the right over a background that stands still."""
    forward, backward = constant(0, 0), constant(0, 0)
    forward[0, 0, 3:7, 4:8] = 3
    backward[0, 0, 3:7, 7:11] = -3
    hidden, uncovered = occlusion(forward, backward)[0, 0], occlusion(backward, forward)[0, 0]
    expected_hidden, expected_uncovered = torch.zeros(12, 16), torch.zeros(12, 16)
    expected_hidden[3:7, 8:11] = 1  # background of the first frame that the square covers in the second
    expected_uncovered[3:7, 4:7] = 1  # background of the second frame that the square covered in the first
    assert torch.equal(hidden, expected_hidden)
    assert torch.equal(uncovered, expected_uncovered)


def test_sizes_must_fit() -> None:
    with pytest.raises(ShapeError, match="Expected flow of size"):
        occlusion(constant(0, 0), constant(0, 0, 12, 17))
