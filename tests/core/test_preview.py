"""The small picture of a run: which part is shown, how large, and how soon."""

import time
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from textovsr.core.preview import SIDE, preview


def columns(height: int, width: int) -> torch.Tensor:
    """Brightness grows from 0 at the left edge to 1 at the right."""
    return torch.linspace(0, 1, width).expand(3, height, width)


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1280, 720), (480, 640), (2160, 4096), (40, 24), (8, 900)])
def test_both_show_the_same_part_in_its_proportions(height: int, width: int) -> None:
    picture = preview(columns(height, width), columns(max(height // 4, 1), width // 4))
    down, across = picture.shape[:2]
    assert max(down, across) <= SIDE
    half = (across - 2) // 2
    before, after = picture[:, :half].int(), picture[:, -half:].int()
    assert (before - after).abs().max() <= 255 * 4 / width * 4 + 2  # edges of a small picture are coarse
    shown = min(width / height, 8 / 9) * height / width
    assert int(after[0, 0, 0]) / 255 == pytest.approx((1 - shown) / 2, abs=0.05)
    assert int(after[0, -1, 0]) / 255 == pytest.approx((1 + shown) / 2, abs=0.05)
    if min(height, width) > 100:
        assert half / down == pytest.approx(shown * width / height, rel=0.02)


def test_a_frame_alone_is_whole() -> None:
    assert preview(columns(1080, 1920)).shape == (288, 512, 3)
    assert preview(columns(48, 64)).shape == (48, 64, 3)


def seconds(draw: Callable[[], object]) -> float:
    """The least processor time that this thread took for it."""
    taken = []
    for _ in range(5):
        began = time.thread_time()
        draw()
        taken.append(time.thread_time() - began)
    return min(taken)


def test_a_large_frame_takes_little_time() -> None:
    """Frames are thinned out first: averaging all of this one takes six times as long."""
    frame = torch.rand(3, 2880, 5120)
    whole = seconds(lambda: functional.interpolate(frame[None], (288, 512), mode="bilinear", antialias=True))
    assert seconds(lambda: preview(frame)) < whole / 3
