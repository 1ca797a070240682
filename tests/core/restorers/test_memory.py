"""The memory plan: it fits, it works at all, and more memory never gives less."""

from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.config import LOOK_AHEAD, SMALLEST_TILE, TILE, WINDOW, RecurrentConfig
from textovsr.core.restorers.memory import MemoryPlan, plan_memory

CHANNELS = st.sampled_from([8, 32, 64])
SIDES = st.integers(16, 2200)
MEMORY = st.integers(0, 1 << 36)
BEST = TILE["cuda"]


def estimate(plan: MemoryPlan, channels: int, size: tuple[int, int]) -> int:
    """Bytes, by the formula of ``plan_memory``."""
    frame = (2 * channels + 7) * size[0] * size[1] * 4
    tiles = 5 * 16 * channels * 4 * (plan.tile or max(size)) ** 2
    features = 8 * channels * 4 * (plan.feature_tile or max(size)) ** 2
    return frame * (plan.windows.length + plan.windows.look_ahead) + tiles + features


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY)
def test_the_plan_fits_unless_it_is_the_smallest(channels: int, height: int, width: int, memory: int) -> None:
    size = (height, width)
    plan = plan_memory(channels, size, memory, RecurrentConfig(), BEST)
    smallest_tile = min(plan.tile or max(size), plan.feature_tile or max(size)) <= SMALLEST_TILE
    smallest = plan.windows.length + plan.windows.look_ahead <= 2 or smallest_tile
    assert smallest or estimate(plan, channels, size) <= memory


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY)
def test_the_plan_stays_within_what_is_useful(channels: int, height: int, width: int, memory: int) -> None:
    plan = plan_memory(channels, (height, width), memory, RecurrentConfig(), BEST)
    assert 1 <= plan.windows.length <= WINDOW
    assert 1 <= plan.windows.look_ahead <= LOOK_AHEAD
    assert plan.tile == 0 or SMALLEST_TILE <= plan.tile <= BEST
    assert max(plan.tile, plan.feature_tile) < max(height, width)


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY, more=MEMORY)
def test_more_memory_never_gives_less(channels: int, height: int, width: int, memory: int, more: int) -> None:
    size = (height, width)
    small = plan_memory(channels, size, memory, RecurrentConfig(), BEST)
    large = plan_memory(channels, size, memory + more, RecurrentConfig(), BEST)
    assert large.windows.length >= small.windows.length
    assert large.windows.look_ahead >= small.windows.look_ahead
    assert (large.tile or max(size)) >= (small.tile or max(size))
    assert (large.feature_tile or max(size)) >= (small.feature_tile or max(size))


def test_plenty_of_memory_gives_the_best() -> None:
    plan = plan_memory(32, (180, 320), 1 << 36, RecurrentConfig())
    assert (plan.windows.length, plan.windows.look_ahead, plan.tile, plan.feature_tile) == (
        WINDOW,
        LOOK_AHEAD,
        TILE["cpu"],
        0,
    )


@given(window=st.integers(1, 99), look_ahead=st.integers(0, 99), tile=st.integers(1, 999), memory=MEMORY)
def test_what_was_asked_for_is_done(window: int, look_ahead: int, tile: int, memory: int) -> None:
    config = RecurrentConfig(window=window, look_ahead=look_ahead, tile=tile)
    plan = plan_memory(32, (1000, 1000), memory, config)
    assert (plan.windows.length, plan.windows.look_ahead) == (window, look_ahead)
    assert plan.tile == plan.feature_tile == tile
