"""Overlapping windows: every frame, full windows, weights of one, the same noise in every window."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.errors import SettingError
from textovsr.core.overlaps import (
    CURVES,
    Curve,
    blend_weights,
    check_overlap,
    overlapping_windows,
    place_windows,
    rescheduled_indices,
)

TOTALS = st.integers(1, 120)
CUTS = st.integers(1, 24).flatmap(lambda length: st.tuples(st.just(length), st.integers(0, length - 1)))


@given(total=TOTALS, cut=CUTS)
def test_windows_cover_every_frame_and_overlap_enough(total: int, cut: tuple[int, int]) -> None:
    length, overlap = cut
    windows = overlapping_windows(total, length, overlap)
    assert windows[0].start == 0
    assert windows[-1].stop == total
    assert {len(window) for window in windows} == {min(length, total)}
    for window, following in pairwise(windows):
        assert window.start < following.start <= window.stop - overlap


@given(total=TOTALS, cut=CUTS)
def test_only_the_last_window_overlaps_more_than_asked(total: int, cut: tuple[int, int]) -> None:
    length, overlap = cut
    shared = [
        window.stop - following.start for window, following in pairwise(overlapping_windows(total, length, overlap))
    ]
    assert all(frames == overlap for frames in shared[:-1])


def test_the_published_windows() -> None:
    assert [window.start for window in overlapping_windows(24, 8, 4)] == [0, 4, 8, 12, 16]
    assert overlapping_windows(21, 8, 4)[-2:] == (range(12, 20), range(13, 21))
    assert overlapping_windows(5, 8, 4) == (range(5),)


@given(overlap=st.integers(0, 40), curve=st.sampled_from(CURVES))
def test_weights_fall_evenly_from_one_window_to_the_next(overlap: int, curve: Curve) -> None:
    weights = blend_weights(overlap, curve)
    assert len(weights) == overlap
    assert all(0 <= later <= earlier <= 1 for earlier, later in pairwise(weights))
    if curve != "cut":  # of an odd number the middle frame cannot be halved
        assert [1 - weight for weight in reversed(weights)] == pytest.approx(weights)


def test_the_published_weights() -> None:
    assert blend_weights(4, "code") == pytest.approx((0.8, 0.6, 0.4, 0.2))
    assert blend_weights(4, "paper") == pytest.approx((1, 2 / 3, 1 / 3, 0))
    assert blend_weights(4, "cosine") == pytest.approx((0.9619398, 0.6913417, 0.3086583, 0.0380602))
    assert blend_weights(5, "cut") == (1, 1, 0, 0, 0)
    assert [blend_weights(1, curve) for curve in CURVES] == [(0.5,), (0.5,), pytest.approx((0.5,)), (0.0,)]


@given(total=TOTALS, cut=CUTS, seed=st.integers(0, 2**64 - 1))
def test_every_window_sees_the_same_noise_frames_once(total: int, cut: tuple[int, int], seed: int) -> None:
    indices = rescheduled_indices(total, *cut, seed)
    assert len(indices) == total
    for window in overlapping_windows(total, *cut):
        assert sorted(indices[frame] for frame in window) == list(range(min(total, cut[0])))


@given(total=st.integers(2, 15), seed=st.integers(0, 99))
def test_new_frames_take_the_noise_of_those_left_behind_eight_before(total: int, seed: int) -> None:
    indices = rescheduled_indices(4 * total, 8, 4, seed)
    for new in range(8, 4 * total, 4):
        assert sorted(indices[new : new + 4]) == sorted(indices[new - 8 : new - 4])


def test_the_order_of_noise_hangs_on_the_seed_alone() -> None:
    assert rescheduled_indices(40, 8, 4, 7) == rescheduled_indices(40, 8, 4, 7)
    assert len({rescheduled_indices(40, 8, 4, seed) for seed in range(20)}) == 20
    # Longer clips begin like shorter ones, so that a continued clip fits.
    assert rescheduled_indices(80, 8, 4, 7)[:40] == rescheduled_indices(40, 8, 4, 7)
    assert rescheduled_indices(12, 8, 4, 7)[8:] == (3, 1, 0, 2)  # for ever: workflows rely on it


@pytest.mark.parametrize(("total", "length", "overlap"), [(9, 0, 0), (9, 4, 4), (9, 4, -1)])
def test_impossible_windows_are_refused(total: int, length: int, overlap: int) -> None:
    with pytest.raises(SettingError, match=rf"windows of {length} with an overlap of {overlap}; choose"):
        overlapping_windows(total, length, overlap)


def test_other_impossible_things_are_refused() -> None:
    with pytest.raises(SettingError, match="at least 1 frame, got 0"):
        rescheduled_indices(0, 8, 4, 0)
    with pytest.raises(SettingError, match="at least 0 frames, got -1"):
        blend_weights(-1, "code")
    with pytest.raises(SettingError, match="code, paper, cosine, cut, got 'steep'"):
        blend_weights(4, "steep")  # type: ignore[arg-type]


@given(total=TOTALS, cut=CUTS)
def test_windows_are_laid_where_they_were_cut(total: int, cut: tuple[int, int]) -> None:
    length, overlap = cut
    windows = overlapping_windows(total, length, overlap)
    check_overlap(windows, overlap)
    laid = place_windows([len(window) for window in windows], overlap)
    assert laid[:-1] == windows[:-1]  # the last one was moved back
    assert laid[0].start == 0


def test_another_overlap_than_the_windows_have_is_refused() -> None:
    windows = overlapping_windows(21, 8, 4)
    for overlap in (3, 5):
        with pytest.raises(SettingError, match=rf"share {overlap} frames, got windows that share 4, 7; set .* to -1"):
            check_overlap(windows, overlap)
    with pytest.raises(SettingError, match="share 8 frames, got windows that share 7"):
        check_overlap(windows[-2:], 8)
