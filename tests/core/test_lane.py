"""Results come in order, all of them, and late only where a device computes meanwhile."""

import pytest
import torch

from textovsr.core.lane import Lane

CPU, META = torch.device("cpu"), torch.device("meta")


def sizes(results: list[torch.Tensor]) -> list[int]:
    return [len(result) for result in results]


def test_a_cpu_has_nothing_to_wait_for() -> None:
    lane = Lane(CPU)
    lane.begin()
    image = torch.rand(3)
    with lane.working():
        assert lane.upload(image) is image
        assert torch.equal(lane.send(image)[0], image)
        assert lane.send(image.half())[0].dtype == torch.float32
    assert lane.flush() == []


@pytest.mark.parametrize("keep", [False, True])
def test_elsewhere_results_come_two_later(keep: bool) -> None:
    lane = Lane(META, keep)
    lane.begin()
    assert [sizes(lane.send(torch.empty(number, device=META))) for number in range(1, 6)] == [[], [], [1], [2], [3]]
    assert sizes(lane.flush()) == [4, 5]
    assert lane.flush() == []


def test_a_run_that_was_broken_off_leaves_nothing() -> None:
    lane = Lane(META, keep=True)
    lane.begin()
    lane.send(torch.empty(1, device=META))
    lane.begin()
    assert lane.flush() == []


def test_results_that_stay_need_room_for_those_that_others_hold() -> None:
    assert Lane.results_held(keep=False) == 1
    assert Lane.results_held(keep=True) > 1
