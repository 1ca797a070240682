"""Codecs, containers, samples, colours, times, turns, sounds, trims and results: every two values that can meet do."""

from itertools import combinations, product
from pathlib import Path

import pytest

from textovsr.tests.helpers.matrix import Case
from textovsr.tests.helpers.matrix_checks import CHECKS, run
from textovsr.tests.helpers.matrix_pairs import pair_cases
from textovsr.tests.helpers.pairs import Combination, all_pairs


@pytest.mark.parametrize("case", pair_cases(), ids=lambda case: case.name)
def test_every_two_values_come_through_together(case: Case, tmp_path: Path) -> None:
    outcome = run(case, tmp_path)
    for check in CHECKS:
        check(outcome)


def test_all_pairs_that_can_meet_do() -> None:
    axes = {"a": (1, 2, 3), "b": (1, 2, 3, 4), "c": (1, 2), "d": (1, 2, 3)}

    def possible(at: Combination) -> bool:
        return at.get("a", 0) + at.get("b", 0) < 6 and at.get("a", 0) * at.get("c", 0) * at.get("d", 0) != 4

    wholes = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    chosen = all_pairs(axes, possible)
    for first, second in combinations(axes, 2):
        can = {(whole[first], whole[second]) for whole in wholes if possible(whole)}
        assert {(whole[first], whole[second]) for whole in chosen} == can
    assert len(chosen) < 20
