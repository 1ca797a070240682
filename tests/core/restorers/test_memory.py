"""The memory plan: it fits, it works at all, and more memory never gives less."""

from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.config import LOOK_AHEAD, SMALLEST_TILE, TILE, WINDOW, RecurrentConfig
from textovsr.core.restorers.memory import plan_memory
from textovsr.core.windows import WindowPlan

CHANNELS = st.sampled_from([8, 32, 64])
SIDES = st.integers(16, 2200)
MEMORY = st.integers(0, 1 << 36)
BEST = TILE["cuda"]


def estimate(plan: WindowPlan, channels: int, size: tuple[int, int]) -> int:
    """Bytes, by the formula of ``plan_memory``."""
    frame = (2 * channels + 7) * size[0] * size[1] * 4
    tiles = 5 * 16 * channels * 4 * (plan.tiles[0] or max(size)) ** 2
    features = 8 * channels * 4 * (plan.tiles[1] or max(size)) ** 2
    return frame * (plan.length + plan.look_ahead) + tiles + features


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY)
def test_the_plan_fits_unless_it_is_the_smallest(channels: int, height: int, width: int, memory: int) -> None:
    size = (height, width)
    plan = plan_memory(channels, size, memory, RecurrentConfig(), BEST)
    smallest_tile = min(plan.tiles[0] or max(size), plan.tiles[1] or max(size)) <= SMALLEST_TILE
    smallest = plan.length + plan.look_ahead <= 2 or smallest_tile
    assert smallest or estimate(plan, channels, size) <= memory


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY)
def test_the_plan_stays_within_what_is_useful(channels: int, height: int, width: int, memory: int) -> None:
    plan = plan_memory(channels, (height, width), memory, RecurrentConfig(), BEST)
    assert 1 <= plan.length <= WINDOW
    assert 1 <= plan.look_ahead <= LOOK_AHEAD
    assert plan.tiles[0] == 0 or SMALLEST_TILE <= plan.tiles[0] <= BEST
    assert max(plan.tiles) < max(height, width)


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY, more=MEMORY)
def test_more_memory_never_gives_less(channels: int, height: int, width: int, memory: int, more: int) -> None:
    size = (height, width)
    small = plan_memory(channels, size, memory, RecurrentConfig(), BEST)
    large = plan_memory(channels, size, memory + more, RecurrentConfig(), BEST)
    assert large.length >= small.length
    assert large.look_ahead >= small.look_ahead
    assert (large.tiles[0] or max(size)) >= (small.tiles[0] or max(size))
    assert (large.tiles[1] or max(size)) >= (small.tiles[1] or max(size))


def test_plenty_of_memory_gives_the_best() -> None:
    plan = plan_memory(32, (180, 320), 1 << 36, RecurrentConfig())
    assert (plan.length, plan.look_ahead, *plan.tiles) == (
        WINDOW,
        LOOK_AHEAD,
        TILE["cpu"],
        0,
    )


@given(window=st.integers(1, 99), look_ahead=st.integers(0, 99), tile=st.integers(1, 999), memory=MEMORY)
def test_what_was_asked_for_is_done(window: int, look_ahead: int, tile: int, memory: int) -> None:
    config = RecurrentConfig(window=window, look_ahead=look_ahead, tile=tile)
    plan = plan_memory(32, (1000, 1000), memory, config)
    assert (plan.length, plan.look_ahead) == (window, look_ahead)
    assert plan.tiles == (tile, tile)
