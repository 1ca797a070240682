"""The random chain."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.degrade.chain import (
    SCALE,
    apply_chain,
    describe_chain,
    sample_clean,
    sample_light,
    sample_second_order,
)
from textovsr.core.degrade.operations import GaussianNoise, Operation, Resize, VideoCompression

SIZE = (64, 96)
WORDS = {"blur", "noise", "image compression", "video compression"}


def sample(kind: str, seed: int) -> list[Operation]:
    rng = np.random.default_rng(seed)
    if kind == "clean":
        return sample_clean(SIZE)
    return (sample_light if kind == "light" else sample_second_order)(SIZE, rng)


@settings(max_examples=20, deadline=None)
@given(kind=st.sampled_from(["clean", "light", "second"]), seed=st.integers(0, 2**31))
def test_a_chain_ends_at_a_quarter_and_follows_its_seed(kind: str, seed: int) -> None:
    clip = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(seed))
    runs = [apply_chain(clip, sample(kind, seed), torch.Generator().manual_seed(seed)) for _ in range(2)]
    assert runs[0].shape == (2, 3, SIZE[0] // SCALE, SIZE[1] // SCALE)
    assert runs[0].isfinite().all()
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=0)


@given(seed=st.integers(0, 2**31))
def test_a_chain_is_described_in_its_order(seed: int) -> None:
    chain = sample("second", seed)
    parts = describe_chain(chain).split(", ")
    assert parts == [operation.describe() for operation in chain if operation.describe()]
    for part in parts:
        level, _, what = part.partition(" ")
        assert part in {"upsample", "downsample"} or (level in {"light", "medium", "heavy"} and what in WORDS)


@given(seed=st.integers(0, 2**31))
def test_a_second_order_chain_shrinks_once_and_goes_through_two_encoders(seed: int) -> None:
    chain = sample("second", seed)
    quarter = (SIZE[0] // SCALE, SIZE[1] // SCALE)
    assert sum(isinstance(operation, VideoCompression) for operation in chain) == 2
    assert [operation for operation in chain if isinstance(operation, Resize)][-1].size == quarter
    assert all(side % 2 == 0 for operation in chain if isinstance(operation, Resize) for side in operation.size)


def test_both_orders_of_the_last_two_steps_occur() -> None:
    last = {isinstance(sample("second", seed)[-1], VideoCompression) for seed in range(30)}
    assert last == {True, False}


def test_the_description_leaves_out_what_says_nothing() -> None:
    chain = [GaussianNoise(2, grey=False), Resize((8, 8), "area", ""), Resize((4, 4), "area", "downsample")]
    assert describe_chain(chain) == "light noise, downsample"


@pytest.mark.parametrize("kind", ["light", "second"])
def test_other_seeds_give_other_chains(kind: str) -> None:
    assert len({describe_chain(sample(kind, seed)) for seed in range(20)}) > 5
