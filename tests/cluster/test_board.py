"""Who gets which piece, and when a job is given up."""

import pytest

from textovsr.core.cluster.board import Board
from textovsr.core.cluster.layout import Piece, Stretch
from textovsr.core.cluster.survey import Marks, Task
from textovsr.core.errors import ClusterError, VideoError
from textovsr.core.journal import Position


def task(begin: int) -> Task:
    return Task(Piece(begin, Position(1, begin), (Stretch(8, Position(1, begin + 8)),)), 0, Marks(begin))


def test_pieces_are_handed_out_from_the_first_on() -> None:
    board = Board()
    assert board.take("a", wait=False) is None
    for begin in (8, 0, 16):
        board.add(task(begin))
    taken = [board.take("a", wait=False) for _ in range(4)]
    assert [found and found.piece.begin for found in taken] == [0, 8, 16, None]


def test_what_failed_goes_to_another_worker_while_there_is_one() -> None:
    board = Board()
    board.enter("a")
    board.enter("b")
    board.add(task(0))
    board.add(task(8))
    board.complete()
    first = board.take("a")
    assert first is not None
    board.failed(first, "a", RuntimeError("lost"))
    found = board.take("a", wait=False)
    assert found is not None
    assert found.piece.begin == 8
    assert board.take("a", wait=False) is None
    assert board.take("b", wait=False) is first
    board.failed(first, "b", RuntimeError("lost"))
    assert board.take("a", wait=False) is first
    assert not board.over


@pytest.mark.parametrize(
    ("error", "kind"), [(RuntimeError("lost\nall of it"), ClusterError), (VideoError("bad"), VideoError)]
)
def test_a_job_ends_with_what_fails_three_times(error: Exception, kind: type[Exception]) -> None:
    board = Board()
    board.add(task(0))
    board.complete()
    for worker in ("a", "b", "c"):
        found = board.take(worker)
        assert found is not None
        board.failed(found, worker, error)
    assert board.over
    with pytest.raises(kind, match="bad" if kind is VideoError else "frames 0 to 7, but 3 workers failed.*: lost;"):
        board.watch(0)
    assert board.take("d") is None


def test_what_is_closed_stays_over() -> None:
    """Whoever surveys the video may find a piece just then."""
    board = Board()
    board.close()
    board.add(task(0))
    assert board.over
    assert board.watch(0)
    assert board.take("a") is None


def test_all_done_is_over() -> None:
    board = Board()
    board.add(task(0))
    assert board.take("a") is not None
    board.complete()
    assert not board.watch(0)
    board.done()
    assert board.watch(0)
    assert board.take("a") is None
