"""Who gets which task, what is written down about it, and where results go."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from textovsr.core.errors import JobRunningError, OutputError, RefusedError, ServerError
from textovsr.core.submit.answers import read_whole
from textovsr.core.submit.ledger import Ledger
from textovsr.core.submit.pool import AHEAD, Limits, Pool, Server
from textovsr.core.submit.task import Task, make_task
from textovsr.core.submit.workflow import Workflow


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "out") as ledger:
        yield ledger


def a_task(folder: Path, name: str = "clip.mov") -> Task:
    (folder / name).write_bytes(name.encode())
    return make_task(folder / name, Workflow({"1": {"class_type": "A", "inputs": {}}}, "1", "file"))


def test_only_one_run_at_a_time(ledger: Ledger) -> None:
    with pytest.raises(JobRunningError, match="another run puts its results"), Ledger(ledger.output):
        pass


def test_results_take_free_names_and_the_same_is_not_placed_twice(ledger: Ledger, tmp_path: Path) -> None:
    task = a_task(tmp_path)

    def place(content: bytes) -> str:
        part = ledger.part()
        part.write_bytes(content)
        return ledger.place(part, task.source, ".mp4")

    assert [place(content) for content in (b"1", b"2", b"2", b"3")] == [
        "clip.mp4",
        "clip-2.mp4",
        "clip-2.mp4",
        "clip-3.mp4",
    ]
    assert not list(ledger.folder.glob("part-*"))


@pytest.mark.parametrize("suffix", [".mp4\\..\\x", "./x", ".a b", ".", ".mp4\n", "." + 11 * "x"])
def test_a_server_does_not_choose_where_results_go(ledger: Ledger, tmp_path: Path, suffix: str) -> None:
    with pytest.raises(RefusedError, match="plain ending"):
        ledger.place(ledger.part(), tmp_path / "clip.mov", suffix)


def test_an_answer_without_an_end_is_cut_off() -> None:
    with pytest.raises(ServerError, match="more than 67108864 bytes"), Path("/dev/zero").open("rb") as endless:
        read_whole(endless, "http://a:8188")


def test_without_hard_links_nothing_is_overwritten_either(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    test_results_take_free_names_and_the_same_is_not_placed_twice(ledger, tmp_path)


def test_a_changed_file_is_another_task(tmp_path: Path) -> None:
    before = a_task(tmp_path)
    workflow = Workflow({"1": {"class_type": "A", "inputs": {}}}, "1", "file")
    assert make_task(before.source, workflow).key == before.key
    os.utime(before.source, (1, 1))
    assert make_task(before.source, workflow).key != before.key
    os.utime(before.source, (1, 2))
    other = Workflow({"1": {"class_type": "A", "inputs": {"b": 1}}}, "1", "file")
    assert make_task(before.source, other).key != make_task(before.source, workflow).key


def alive(address: str, load: int = 0) -> Server:
    server = Server(address, load)
    server.answered()
    return server


def test_the_least_loaded_server_is_first_and_none_gets_too_much(ledger: Ledger, tmp_path: Path) -> None:
    busy, idle = alive("busy", 3), alive("idle")
    pool = Pool([a_task(tmp_path, f"{index}.mp4") for index in range(6)], [busy, idle], ledger, Limits())
    assert pool.take(busy) is None
    assert all(pool.take(idle) for _ in range(AHEAD))
    assert pool.take(idle) is None
    assert pool.take(busy), "the idle one has enough"


def test_an_idle_server_gets_what_waits_behind_another_task(ledger: Ledger, tmp_path: Path) -> None:
    busy, idle = alive("busy"), alive("idle", 1)
    pool = Pool([a_task(tmp_path, f"{index}.mp4") for index in range(2)], [busy, idle], ledger, Limits())
    first, second = pool.take(busy), pool.take(busy)
    assert first is not None
    assert second is not None
    pool.queue(second, "id")
    assert not pool.is_wanted(second), "someone else's work keeps the other server busy"
    idle.load = 0
    assert pool.is_wanted(second)
    pool.hand_on(second)
    assert pool.take(busy) is None
    assert pool.take(idle) is second
    assert second.tries == 1


class Clock:
    """Stands for ``time`` where it is put; time passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("textovsr.core.submit.pool.time", clock)
    return clock


def test_the_first_to_answer_leaves_something_for_the_others(ledger: Ledger, tmp_path: Path, clock: Clock) -> None:
    quick, slow = alive("quick"), Server("slow")
    pool = Pool([a_task(tmp_path)], [quick, slow], ledger, Limits())
    assert pool.take(quick) is None
    slow.failed("nobody there")
    assert pool.take(quick)


def test_nobody_is_waited_for_long(ledger: Ledger, tmp_path: Path, clock: Clock) -> None:
    quick = alive("quick")
    pool = Pool([a_task(tmp_path)], [quick, Server("slow")], ledger, Limits())
    assert pool.take(quick) is None
    clock.now += 5
    assert pool.take(quick)


def test_fetching_is_tried_again_and_then_left_to_the_next_run(ledger: Ledger, tmp_path: Path) -> None:
    server = alive("a")
    pool = Pool([a_task(tmp_path)], [server], ledger, Limits(retries=1))
    task = pool.take(server)
    assert task is not None
    pool.queue(task, "id")
    for state in ("fetching", "failed"):
        assert pool.claim(task, server, "id")
        pool.stumble(task, "broken off")
        assert task.state == state
    ledger._read()
    again = make_task(task.source, Workflow({"1": {"class_type": "A", "inputs": {}}}, "1", "file"))
    ledger.take_up(again)
    assert again.state == "queued"


def test_progress_that_is_heard_late_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    server = alive("a")
    pool = Pool([a_task(tmp_path)], [server], ledger, Limits())
    task = pool.take(server)
    assert task is not None
    pool.queue(task, "id")
    pool.progress(server, "id", "Upscale", 3.0, 10.0)
    assert (task.state, task.doing, task.done, task.total) == ("running", "Upscale", 3.0, 10.0)
    began = task.began
    assert pool.claim(task, server, "id")
    pool.progress(server, "id", "Upscale", 4.0, 10.0)
    assert (task.state, task.began) == ("fetching", began)
    pool.give_back(task, "it is gone")
    pool.progress(server, "id", "Upscale", 5.0, 10.0)
    assert (task.state, task.server) == ("waiting", ""), "or nobody would take it any more"


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputError, match="Expected a folder for results"), Ledger(tmp_path / "out"):
        pass


def test_retries_are_limited(ledger: Ledger, tmp_path: Path) -> None:
    server = alive("a")
    pool = Pool([a_task(tmp_path)], [server], ledger, Limits(retries=2))
    for tries in (1, 2, 3):
        task = pool.take(server)
        assert task is not None
        assert task.tries == tries
        pool.give_back(task, "it was started again")
    assert (pool.tasks[0].state, pool.tasks[0].error) == ("failed", "it was started again")
    assert pool.settled


def test_a_refused_task_goes_to_another_server_once(ledger: Ledger, tmp_path: Path) -> None:
    first, second = alive("a"), alive("b")
    pool = Pool([a_task(tmp_path)], [first, second], ledger, Limits())
    task = pool.take(first)
    assert task is not None
    pool.refuse(task, "no memory")
    assert pool.take(first) is None
    assert pool.take(second) is task
    pool.refuse(task, "no model")
    assert (task.state, task.error) == ("failed", "no model")


def test_a_silent_server_loses_its_task_and_the_last_one_keeps_it(ledger: Ledger, tmp_path: Path, clock: Clock) -> None:
    first, second = alive("a"), alive("b")
    pool = Pool([a_task(tmp_path)], [first, second], ledger, Limits(patience=0.0))
    task = pool.take(first)
    assert task is not None
    pool.queue(task, "one")
    first.failed("gone")
    patient = Pool([task], [first, second], ledger, Limits(patience=60.0))
    clock.now += 7
    patient.tend()
    assert (task.state, task.doing) == ("queued", "no answer for 7 s")
    pool.tend()
    assert (task.state, first.abandoned) == ("waiting", {"one"})
    assert not pool.claim(task, first, "one"), "whoever comes back late has lost it"
    pool.queue(pool.take(second) or task, "two")
    second.failed("gone too")
    clock.now += 1
    pool.tend()
    assert (task.state, task.error) == ("failed", "gone too")
    again = make_task(task.source, Workflow({"1": {"class_type": "A", "inputs": {}}}, "1", "file"))
    ledger._read()
    ledger.take_up(again)
    assert (again.state, again.prompt_id) == ("queued", "two"), "the next run looks for it there"


def test_the_journal_holds_one_line_for_each_step(ledger: Ledger, tmp_path: Path) -> None:
    server = alive("a")
    pool = Pool([a_task(tmp_path)], [server], ledger, Limits())
    task = pool.take(server)
    assert task is not None
    pool.queue(task, "id")
    pool.finish(task, ["clip.mp4"])
    lines = [json.loads(line) for line in (ledger.folder / "journal.jsonl").read_text().splitlines()]
    assert [line.get("state") for line in lines] == [None, "queued", "done"]
    assert lines[0]["client_id"] == ledger.client_id
    assert str(tmp_path) not in json.dumps(lines), "names only: the folder may be given away"
