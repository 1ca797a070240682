"""Memory used again, and never under anybody's feet."""

import gc

import torch
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.video.pool import TensorPool


def test_memory_that_nobody_holds_is_used_again() -> None:
    pool = TensorPool()
    first = pool.take(3, 4, 5)
    address = first.data_ptr()
    del first
    assert pool.take(3, 4, 5).data_ptr() == address


def test_memory_that_a_view_holds_is_left_alone() -> None:
    pool = TensorPool()
    frame = pool.take(3, 4, 5).fill_(1)
    view = frame[None, :, 1:].permute(0, 2, 3, 1)
    del frame
    pool.take(3, 4, 5).fill_(2)
    assert torch.equal(view, torch.ones(1, 3, 5, 3))


def test_another_shape_gets_other_memory() -> None:
    pool = TensorPool()
    assert pool.take(3, 4, 5).shape == (3, 4, 5)
    assert pool.take(3, 2, 2).shape == (3, 2, 2)


def test_more_than_the_pool_keeps_are_given_all_the_same() -> None:
    pool = TensorPool(most=2)
    frames = [pool.take(2, 2).fill_(i) for i in range(5)]
    assert [float(frame[0, 0]) for frame in frames] == [0, 1, 2, 3, 4]


@given(st.lists(st.integers(0, 9), max_size=60))
def test_no_two_frames_that_live_share_memory(drops: list[int]) -> None:
    pool, living = TensorPool(most=4), []
    for number, drop in enumerate(drops):
        living.append((number, pool.take(2, 3).fill_(number)[1:]))
        if drop < len(living):
            del living[drop]
        if drop == 9:
            gc.collect()
        assert all(bool((view == value).all()) for value, view in living)
