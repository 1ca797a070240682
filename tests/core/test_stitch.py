"""Stitching: as many frames as before, steady signals unchanged, no seams, memory of a window."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import SettingError, ShapeError
from textovsr.core.overlaps import CURVES, Curve, overlapping_windows
from textovsr.core.stitch import stitch

TOTALS = st.integers(1, 50)
CUTS = st.integers(1, 16).flatmap(lambda length: st.tuples(st.just(length), st.integers(0, length - 1)))


def split(frames: Tensor, places: tuple[range, ...]) -> list[Tensor]:
    return [frames[place.start : place.stop].clone() for place in places]


@settings(deadline=None, max_examples=60)
@given(total=TOTALS, cut=CUTS, curve=st.sampled_from(CURVES))
def test_what_was_only_split_comes_back(total: int, cut: tuple[int, int], curve: Curve) -> None:
    places = overlapping_windows(total, *cut)
    signal = torch.arange(total * 6.0).reshape(total, 2, 3)
    assert torch.equal(torch.stack(list(stitch(split(signal, places), places, curve))), signal)


@settings(deadline=None, max_examples=60)
@given(total=TOTALS, cut=CUTS, curve=st.sampled_from(CURVES))
def test_every_frame_is_a_mean_of_the_windows_that_hold_it(total: int, cut: tuple[int, int], curve: Curve) -> None:
    """Each window says who it is: the result is then the weights themselves."""
    places = overlapping_windows(total, *cut)
    windows = [torch.eye(len(places))[index].repeat(len(place), 1) for index, place in enumerate(places)]
    weights = torch.stack(list(stitch(windows, places, curve)))
    torch.testing.assert_close(weights.sum(1), torch.ones(total))
    assert (weights >= 0).all()
    for index, place in enumerate(places):
        outside = [frame for frame in range(total) if frame not in place]
        assert (weights[outside, index] == 0).all()


def test_the_published_blend() -> None:
    places = overlapping_windows(12, 8, 4)
    result = torch.stack(list(stitch([torch.ones(8), torch.zeros(8)], places, "code")))
    torch.testing.assert_close(result, torch.tensor([1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0]))


def test_a_window_fades_over_all_that_it_shares_with_those_before() -> None:
    places = (range(4), range(2, 6), range(3, 7))  # frame 3 is in all three
    one, two, three = torch.tensor([1.0, 10.0, 100.0])
    result = list(stitch([one.repeat(4), two.repeat(4), three.repeat(4)], places, "paper"))
    assert torch.stack(result).tolist() == [1, 1, 1, 10, 55, 100, 100]


def test_half_precision_stays() -> None:
    places = overlapping_windows(5, 3, 2)
    signal = torch.rand(5, 2).half()
    assert torch.equal(torch.stack(list(stitch(split(signal, places), places, "cosine"))), signal)


def test_frames_come_before_the_next_window_and_windows_are_let_go() -> None:
    places = overlapping_windows(40, 8, 3)
    made: list[weakref.ref[np.ndarray]] = []

    def windows() -> Iterator[Tensor]:
        for place in places:
            assert not any(window() is not None for window in made)
            memory = np.ones((len(place), 2), np.float32)
            made.append(weakref.ref(memory))
            yield torch.from_numpy(memory)
            del memory

    starts = [place.start for place in places]
    number = 0
    for frame in stitch(windows(), places, "code"):
        assert len(made) == sum(start <= number for start in starts)
        assert frame.tolist() == [1, 1]
        number += 1
        del frame
    assert number == 40


def test_what_does_not_fit_is_refused() -> None:
    pieces = [torch.ones(4, 2), torch.ones(4, 2)]
    with pytest.raises(SettingError, match=r"hole.*0 to 3 in window 1 and 5 to 8 in the next"):
        list(stitch(pieces, (range(4), range(5, 9)), "code"))
    with pytest.raises(SettingError, match=r"begin and end after.*got frames 4 to 7 in window 1 and 0 to 3"):
        list(stitch(pieces, (range(4, 8), range(4)), "code"))
    with pytest.raises(SettingError, match="got none"):
        list(stitch([], (), "code"))
    with pytest.raises(ShapeError, match="window of 4 frames for frames 2 to 5, got 3"):
        list(stitch([pieces[0], torch.ones(3, 2)], (range(4), range(2, 6)), "code"))
    with pytest.raises(ShapeError, match=r"got frames of \(2,\) and then of \(3,\)"):
        list(stitch([pieces[0], torch.ones(4, 3)], (range(4), range(2, 6)), "code"))
    with pytest.raises(ShapeError, match="Expected 2 windows, got 1"):
        list(stitch(pieces[:1], (range(4), range(2, 6)), "code"))
    with pytest.raises(ShapeError, match="Expected 1 windows, got more"):
        list(stitch(pieces, (range(4),), "code"))
