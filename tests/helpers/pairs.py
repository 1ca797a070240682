"""All-pairs selection: few combinations in which every two values that go together do meet."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeAlias

Combination: TypeAlias = dict[str, Any]
Pair: TypeAlias = tuple[tuple[str, Any], tuple[str, Any]]


def all_pairs(
    axes: Mapping[str, Sequence[Any]], possible: Callable[[Combination], bool], seed: int = 0, tries: int = 12
) -> list[Combination]:
    """Choose combinations of one value an axis, so that every pair of values that can meet does.

    Args:
        axes: the values of each axis; two axes at least.
        possible: whether a combination, which may lack axes, breaks no rule; adding axes never mends a broken one.
        seed: of the choice.
        tries: combinations drawn for each that is taken; the one with most new pairs is.

    Returns:
        The combinations, in an order and number that follow from the arguments alone.
    """
    chance = random.Random(seed)
    places = combinations(axes, 2)
    open_pairs = {((one, a), (two, b)): None for one, two in places for a in axes[one] for b in axes[two]}
    chosen: list[Combination] = []
    while open_pairs:
        pair = next(iter(open_pairs))
        drawn = [complete(dict(pair), axes, possible, chance) for _ in range(tries)]
        found = [combination for combination in drawn if combination is not None]
        if not found:
            del open_pairs[pair]  # no combination holds it
            continue
        best = max(found, key=lambda combination: len(open_pairs.keys() & pairs_of(combination, axes)))
        for met in pairs_of(best, axes):
            open_pairs.pop(met, None)
        chosen.append(best)
    return chosen


def pairs_of(combination: Combination, axes: Mapping[str, Sequence[Any]]) -> set[Pair]:
    """The pairs that a whole combination holds."""
    return {((a, combination[a]), (b, combination[b])) for a, b in combinations(axes, 2)}


def complete(
    partial: Combination,
    axes: Mapping[str, Sequence[Any]],
    possible: Callable[[Combination], bool],
    chance: random.Random,
) -> Combination | None:
    """Fill in the axes that are missing, by chance, going back where nothing fits; None if nothing does at all."""
    if not possible(partial):
        return None
    axis = next((name for name in axes if name not in partial), None)
    if axis is None:
        return partial
    for value in chance.sample(axes[axis], len(axes[axis])):
        found = complete({**partial, axis: value}, axes, possible, chance)
        if found is not None:
            return found
    return None
