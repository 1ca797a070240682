"""Film: grain with a size, dirt for a frame, scratches for many, light and place that wander."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.degrade.draws import Draws
from textovsr.core.degrade.film import Dust, Flicker, GateWeave, Grading, Grain, Scratches
from textovsr.core.degrade.operation import Operation
from textovsr.tests.helpers.threads import one_thread as one_thread

DRAWS = Draws(9)


def flat(value: float, frames: int = 3) -> torch.Tensor:
    """A clip of one grey."""
    return torch.full((frames, 3, 96, 128), value)


@settings(deadline=None, max_examples=20)
@given(sigma=st.floats(3, 25), size=st.floats(0, 1.5), colour=st.floats(0, 1))
def test_grain_has_the_spread_asked_for_in_middle_tones(sigma: float, size: float, colour: float) -> None:
    noise = Grain(sigma, size, colour).degrade(flat(0.5), DRAWS) - 0.5
    assert float(noise.std() * 255) == pytest.approx(sigma, rel=0.12)


def test_grain_is_less_in_shadows_has_a_size_and_a_share_of_colour() -> None:
    grain = Grain(10, 1.0, colour=0.0)
    middle, dark = (grain.degrade(flat(value), DRAWS) - value for value in (0.5, 0.1))
    assert float(dark.std() / middle.std()) == pytest.approx(0.6, rel=0.05)  # sqrt(4 * .1 * .9)
    assert torch.equal(middle[:, 0], middle[:, 1])
    assert float((middle[..., 1:] * middle[..., :-1]).mean() / middle.square().mean()) > 0.5
    coloured = Grain(10, 1.0, colour=1.0).degrade(flat(0.5), DRAWS) - 0.5
    assert abs(float((coloured[:, 0] * coloured[:, 1]).mean() / coloured.square().mean())) < 0.1


def test_dirt_is_there_for_one_frame_in_the_number_asked_for() -> None:
    out = Dust(6, 3.0).degrade(flat(0.5, 40), DRAWS)
    dirty = (out - 0.5).abs().amax(1) > 0.02
    share = dirty.float().mean((1, 2))
    assert 0 < float(share.mean()) < 0.02
    assert float((dirty[1:] & dirty[:-1]).float().mean()) < 0.2 * float(dirty.float().mean())
    more = (Dust(24, 3.0).degrade(flat(0.5, 40), DRAWS) - 0.5).abs().amax(1) > 0.02
    assert float(more.float().mean() / dirty.float().mean()) == pytest.approx(4, rel=0.5)


def test_dirt_is_dark_or_white() -> None:
    assert float(Dust(20, 3.0, white=0.0).degrade(flat(0.5), DRAWS).max()) <= 0.5
    assert float(Dust(20, 3.0, white=1.0).degrade(flat(0.0), DRAWS).max()) > 0.5


def test_a_scratch_is_vertical_and_stays() -> None:
    out = Scratches(4, 0.4, life=30).degrade(flat(0.5, 30), DRAWS) - 0.5
    columns = out.abs().mean((1, 2))
    there = columns > 0.3 * columns.max()
    assert there.any(1).sum() > 15
    assert 1 <= float(there.sum(1).float().mean()) < 24
    again = (there[1:, 1:-1] & (there[:-1, 1:-1] | there[:-1, 2:] | there[:-1, :-2])).sum() / there[1:, 1:-1].sum()
    assert float(again) > 0.6


@settings(deadline=None, max_examples=20)
@given(amount=st.floats(0.02, 0.3), seed=st.integers(0, 2**62))
def test_flicker_stays_within_its_amount(amount: float, seed: int) -> None:
    out = Flicker(amount).degrade(torch.full((60, 3, 4, 4), 0.5), Draws(seed))
    gains = out[:, 0, 0, 0] / 0.5
    assert 1 - amount - 1e-5 <= gains.min() < gains.max() <= 1 + amount + 1e-5
    assert float(gains.max() - gains.min()) > 0.5 * amount


@settings(deadline=None, max_examples=20)
@given(amount=st.floats(0.3, 4), seed=st.integers(0, 2**62))
def test_a_gate_weaves_within_its_amount(amount: float, seed: int) -> None:
    ramp = (torch.arange(96) / 96)[:, None].expand(40, 3, 96, 32)
    moves = (ramp - GateWeave(amount).degrade(ramp, Draws(seed)))[:, 0, 48, 16] * 96
    assert float(moves.abs().max()) <= amount + 1e-3
    assert float(moves.max() - moves.min()) > 0.5 * amount


def test_grading_takes_colour_and_lifts_blacks() -> None:
    clip = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    grey = Grading(saturation=0.0).degrade(clip, DRAWS)
    torch.testing.assert_close(grey[:, 0], grey[:, 2], rtol=0, atol=1e-6)
    torch.testing.assert_close(Grading().degrade(clip, DRAWS), clip, rtol=0, atol=1e-6)
    lifted = Grading((0.9, 0.9, 0.9), (0.1, 0.1, 0.1)).degrade(torch.zeros(1, 3, 2, 2), DRAWS)
    torch.testing.assert_close(lifted, torch.full((1, 3, 2, 2), 0.1))


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Grain(5, 1.0), "light noise"),
        (Dust(5, 2.0), "medium dust"),
        (Scratches(5, 0.2), "heavy scratches"),
        (Flicker(0.1), "medium flicker"),
        (GateWeave(2.5), "heavy shaking"),
        (Grading(saturation=0.1), "heavy fading"),
        (Grading(gamma=1.2, saturation=0.9), "light fading, light darkening"),
        (Grading(), ""),
    ],
)
def test_an_operation_says_what_it_does(operation: Operation, words: str) -> None:
    assert operation.describe() == words
