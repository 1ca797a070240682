"""Files of every kind through the whole engine: every frame, time stamp, colour, sound packet and label comes out."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from textovsr.core.video import color, probe
from textovsr.tests.helpers.matrix import Case
from textovsr.tests.helpers.matrix_cases import CASES
from textovsr.tests.helpers.matrix_checks import (
    CHECKS,
    Outcome,
    check_colours,
    check_numbers,
    check_sounds,
    check_times,
    run,
)
from textovsr.tests.helpers.pictures import picture, to_frame


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_goes_in_comes_out(case: Case, tmp_path: Path) -> None:
    outcome = run(case, tmp_path)
    for check in CHECKS:
        check(outcome)


FAULTS: dict[str, tuple[Callable[[Outcome], None], Callable[[Outcome], object]]] = {
    "a lost frame": (check_numbers, lambda outcome: outcome.after.frames.pop(2)),
    "a frame twice": (check_numbers, lambda outcome: outcome.after.frames.insert(2, outcome.after.frames[2])),
    "frames in disorder": (check_numbers, lambda outcome: outcome.after.frames.insert(2, outcome.after.frames.pop())),
    "a tick late": (check_times, lambda outcome: shift(outcome.after.times, 3)),
    "all a tick late": (check_times, lambda outcome: [shift(outcome.after.times, n) for n in range(6)]),
    "the last too short": (check_times, lambda outcome: setattr(outcome.after, "last", (outcome.after.times[-1], 0))),
    "a byte of sound": (check_sounds, lambda outcome: outcome.after.packets["audio"][0].reverse()),
    "sound without picture": (check_sounds, lambda outcome: shift(outcome.after.times, 0, 12)),
    "another colour": (check_colours, lambda outcome: outcome.after.frames.append(other_matrix(outcome))),
}


def shift(times: list[Fraction], index: int, ticks: int = 1) -> None:
    times[index] += ticks * Fraction(1, 12_800)


def other_matrix(outcome: Outcome) -> av.VideoFrame:
    height, width = outcome.case.size[::-1]
    return to_frame(picture(0, width, height), "yuv420p", replace(outcome.case.expected, matrix=6))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_notice(fault: str, tmp_path: Path) -> None:
    check, do = FAULTS[fault]
    outcome = run(CASES[0], tmp_path)
    check(outcome)
    do(outcome)
    with pytest.raises(AssertionError):
        check(outcome)


def test_a_wrong_matrix_on_both_ways_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undone and redone with the same wrong matrix, the result looks right; what the network sees does not."""
    monkeypatch.setattr(probe, "read_tags", lambda *given: replace(color.read_tags(*given), matrix=6))
    outcome = run(CASES[0], tmp_path)
    for frame in outcome.after.frames:
        frame.colorspace = 1  # as if it were tagged like the source
    with pytest.raises(AssertionError):
        check_colours(outcome)
