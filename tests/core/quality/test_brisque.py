import math

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.core.quality.brisque import Ratings, brisque, load_ratings


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return load_ratings()


def picture(name: str) -> Tensor:
    """(3,288,384), the upper left part of a photograph."""
    return torch.from_numpy(getattr(skimage.data, name)()[:288, :384].copy()).permute(2, 0, 1) / 255


@pytest.mark.parametrize(
    ("name", "clean", "noisy"),
    [("astronaut", -6.9688, 36.6998), ("coffee", 37.7292, 40.9337), ("chelsea", 5.8122, 28.3455)],
)
def test_brisque_equals_its_implementation_in_pyiqa(name: str, clean: float, noisy: float, ratings: Ratings) -> None:
    """brisque() of pyiqa 0.1.16 in float64 with these support vectors, which are the authors' own."""
    noise = torch.from_numpy(np.random.RandomState(0).standard_normal((3, 288, 384)))
    assert brisque(picture(name), ratings) == pytest.approx(clean, abs=2e-3)
    assert brisque((picture(name) + 0.05 * noise).clamp(0, 1).float(), ratings) == pytest.approx(noisy, abs=2e-3)


def test_odd_sides_lose_a_line(ratings: Ratings) -> None:
    score = brisque(picture("chelsea")[:, :287, :381], ratings)
    assert score == pytest.approx(brisque(picture("chelsea"), ratings), abs=2)


def test_a_flat_frame_has_no_score(ratings: Ratings) -> None:
    assert math.isnan(brisque(torch.zeros(3, 64, 64), ratings))


def test_small_frames_are_refused(ratings: Ratings) -> None:
    with pytest.raises(ShapeError, match="sides of 32 pixels or more"):
        brisque(torch.zeros(3, 31, 64), ratings)
