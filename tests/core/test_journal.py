"""The journal: what is read back after any damage is true, and two runs never share it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textovsr.core.errors import JobRunningError
from textovsr.core.journal import Journal, Pause, Position, read_lines, remove_job

HEADER = {"key": "abc", "plan": {"length": 8}}


def commit(journal: Journal, frames: int = 10, *, state: bool = True) -> None:
    """Write and record one segment."""
    index = len(journal.segments)
    journal.next_path(".mp4").write_bytes(b"picture %d" % index)
    values = {"forward": torch.full((1, 2, 3, 4), float(index))} if state else {}
    journal.commit(frames, Pause(Position(1, frames * (index + 1) if state else 0), values), ".mp4")


def write(folder: Path, segments: int, *, state: bool = True) -> None:
    with Journal(folder, HEADER) as journal:
        for _ in range(segments):
            commit(journal, state=state)


def test_what_was_committed_is_taken_up(tmp_path: Path) -> None:
    write(tmp_path / "job", 3)
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 30
        assert [path.read_bytes() for path in journal.pictures] == [b"picture 0", b"picture 1", b"picture 2"]
        pause = journal.pause()
        assert pause.position == Position(1, 30)
        assert torch.equal(pause.state["forward"], torch.full((1, 2, 3, 4), 2.0))
        commit(journal)
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 40


def test_a_kill_while_it_is_taken_up_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "job", 3)

    def killed(path: Path) -> None:
        raise InterruptedError(path)

    with monkeypatch.context() as patch:
        patch.setattr("textovsr.core.journal.sync_file", killed)
        with pytest.raises(InterruptedError), Journal(tmp_path / "job", HEADER):
            pass
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 30


def test_nothing_is_left_of_a_job_without_a_segment(tmp_path: Path) -> None:
    with Journal(tmp_path / "job", HEADER) as journal:
        journal.next_path(".mp4").write_bytes(b"half")
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_job_that_is_removed(tmp_path: Path) -> None:
    with Journal(tmp_path / "job", HEADER) as journal:
        commit(journal)
        journal.remove()
    assert not list(tmp_path.iterdir())


def test_a_fresh_journal_begins_at_the_beginning(tmp_path: Path) -> None:
    with Journal(tmp_path / "job", HEADER) as journal:
        assert (journal.frames, journal.shots, journal.pause()) == (0, 0, Pause())


def test_another_job_starts_afresh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "job", 2)
    with Journal(tmp_path / "job", {"key": "other"}) as journal:
        assert journal.frames == 0
        commit(journal)
    assert "input or settings have changed" in caplog.text
    assert read_lines(tmp_path / "job")[0]["key"] == "other"


def test_the_first_runs_plan_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "job", 1)
    with Journal(tmp_path / "job", {"key": "abc", "plan": {"length": 2}}) as journal:
        assert journal.header["plan"] == {"length": 8}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), flipped=st.none() | st.integers(0, 2000))
def test_a_torn_or_flipped_journal_is_true_up_to_the_damage(tmp_path: Path, cut: int, flipped: int | None) -> None:
    folder = tmp_path / "job"
    write(folder, 0)
    write(folder, 3)
    path = folder / "journal.jsonl"
    whole = path.read_bytes()
    data = bytearray(whole[: max(len(whole) - cut, 0)])
    if flipped is not None and data:
        data[flipped % len(data)] ^= 4
    path.write_bytes(data)
    good = 0
    for a, b in zip(whole.splitlines(True), bytes(data).splitlines(True), strict=False):
        if a != b:
            break
        good += 1
    with Journal(folder, HEADER) as journal:
        assert len(journal.segments) <= max(good - 1, 0)
        assert journal.frames == 10 * len(journal.segments)
        for index, segment in enumerate(journal.pictures):
            assert segment.read_bytes() == b"picture %d" % index
        journal.remove()


def test_a_damaged_segment_is_made_again(tmp_path: Path) -> None:
    write(tmp_path / "job", 3)
    (tmp_path / "job" / "segment-00002.mp4").write_bytes(b"picture X")
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 20
        assert torch.equal(journal.pause().state["forward"], torch.full((1, 2, 3, 4), 1.0))


def test_without_its_state_a_segment_is_of_no_use(tmp_path: Path) -> None:
    write(tmp_path / "job", 3)
    for state in (tmp_path / "job").glob("state-*"):
        state.unlink()
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 0


def test_a_segment_at_a_cut_needs_no_state(tmp_path: Path) -> None:
    write(tmp_path / "job", 3, state=False)
    assert not list((tmp_path / "job").glob("state-*"))
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 30


def test_old_states_are_deleted(tmp_path: Path) -> None:
    write(tmp_path / "job", 6)
    assert len(list((tmp_path / "job").glob("state-*"))) == 2


def test_what_no_line_names_is_swept_away(tmp_path: Path) -> None:
    write(tmp_path / "job", 1)
    (tmp_path / "job" / "part-00001.mp4").write_bytes(b"half")
    (tmp_path / "job" / "segment-00001.mp4").write_bytes(b"renamed, not recorded")
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 10
        names = {path.name.split("-")[0] for path in (tmp_path / "job").iterdir()}
        assert names == {"journal.jsonl", "lock", "segment", "state"}
        assert len(list((tmp_path / "job").glob("segment-*"))) == 1


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_state_keeps_its_bits_and_its_memory_format(tmp_path: Path, channels_last: bool) -> None:
    value = torch.randn(1, 3, 5, 7)
    if channels_last:
        value = value.contiguous(memory_format=torch.channels_last)
    with Journal(tmp_path / "job", HEADER) as journal:
        journal.next_path(".mp4").write_bytes(b"")
        journal.commit(1, Pause(Position(1, 1), {"x": value, "n": torch.tensor(3)}), ".mp4")
    with Journal(tmp_path / "job", HEADER) as journal:
        state = journal.pause().state
    assert torch.equal(state["x"], value)
    assert state["x"].stride() == value.stride()
    assert int(state["n"]) == 3


HOLD = """
import sys
from pathlib import Path
from textovsr.core.journal import Journal
with Journal(Path(sys.argv[1]), {"key": "abc"}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_runs_exclude_each_other_and_a_dead_one_lets_go(tmp_path: Path) -> None:
    write(tmp_path / "job", 1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "job")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(JobRunningError, match="another run is at work"), Journal(tmp_path / "job", HEADER):
            pass
        with pytest.raises(JobRunningError, match="stop it first"):
            remove_job(tmp_path / "job")
        holder.kill()
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 10


def test_the_journal_is_plain_to_read(tmp_path: Path) -> None:
    write(tmp_path / "job", 1)
    header, line = (tmp_path / "job" / "journal.jsonl").read_text().splitlines()
    assert json.loads(header.rpartition(" ")[0]) == HEADER
    assert json.loads(line.rpartition(" ")[0])["frames"] == 10
