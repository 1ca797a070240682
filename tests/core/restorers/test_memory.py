"""The memory plan: it fits, it works at all, and more memory never gives less."""

from operator import sub

from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.config import GPU_WINDOW, LOOK_AHEAD, SMALLEST_TILE, TILE, WINDOW, RecurrentConfig
from textovsr.core.restorers.memory import Costs, plan_memory
from textovsr.core.tiles import Tiles
from textovsr.core.windows import WindowPlan

CHANNELS = st.sampled_from([8, 32, 64])
SIDES = st.integers(16, 2200)
MEMORY = st.integers(0, 1 << 36)
BEST = TILE["cuda"]
COSTS = st.sampled_from(
    [
        Costs(4, BEST),
        Costs(4, TILE["cpu"], pixels=(TILE["cpu"] ** 2, 0), halos=(4, 21)),
        Costs(2, BEST, GPU_WINDOW, 288, (BEST**2, 1 << 20), (4, 43)),
    ]
)


def estimate(plan: WindowPlan, channels: int, size: tuple[int, int], costs: Costs) -> int:
    """Bytes, by the formula of ``plan_memory``."""
    frame = (2 * channels * costs.bytes + 7 * 4) * size[0] * size[1]
    work = 0
    for kind, bytes_a_number in enumerate((5 * 16, 8)):
        at_once = size[0] * size[1] if not plan.tiles[kind] else plan.tiles[kind] ** 2
        if plan.batches[kind] > 1:
            at_once = plan.batches[kind] * Tiles(plan.tiles[kind], costs.halos[kind]).pixels(*size)
        work += bytes_a_number * channels * costs.bytes * at_once
    return frame * (plan.length + plan.look_ahead) + work + costs.beside * size[0] * size[1]


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY, costs=COSTS)
def test_the_plan_fits_unless_it_is_the_smallest(
    channels: int, height: int, width: int, memory: int, costs: Costs
) -> None:
    size = (height, width)
    plan = plan_memory(channels, size, memory, RecurrentConfig(), costs)
    smallest_tile = min(plan.tiles[0] or max(size), plan.tiles[1] or max(size)) <= SMALLEST_TILE
    smallest = plan.length + plan.look_ahead <= 2 or smallest_tile
    assert smallest or estimate(plan, channels, size, costs) <= memory


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY, costs=COSTS)
def test_the_plan_stays_within_what_is_useful(
    channels: int, height: int, width: int, memory: int, costs: Costs
) -> None:
    plan = plan_memory(channels, (height, width), memory, RecurrentConfig(), costs)
    assert 1 <= plan.length <= costs.window
    assert 1 <= plan.look_ahead <= LOOK_AHEAD
    assert plan.tiles[0] == 0 or SMALLEST_TILE <= plan.tiles[0] <= BEST
    assert max(plan.tiles) < max(height, width)
    assert min(plan.batches) >= 1
    assert max(plan.batches) == 1 or max(costs.pixels)


@given(channels=CHANNELS, height=SIDES, width=SIDES, memory=MEMORY, more=MEMORY, costs=COSTS)
def test_more_memory_never_gives_less(
    channels: int, height: int, width: int, memory: int, more: int, costs: Costs
) -> None:
    size = (height, width)
    small = plan_memory(channels, size, memory, RecurrentConfig(), costs)
    large = plan_memory(channels, size, memory + more, RecurrentConfig(), costs)
    assert large.length >= small.length
    assert large.look_ahead >= small.look_ahead
    assert (large.tiles[0] or max(size)) >= (small.tiles[0] or max(size))
    assert (large.tiles[1] or max(size)) >= (small.tiles[1] or max(size))
    assert large.tiles != small.tiles or min(map(sub, large.batches, small.batches)) >= 0


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
