"""The journal: what is read back after any damage is true, and two runs never share it."""

import errno
import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textovsr.core.durable import sha256_of, writing_explained
from textovsr.core.errors import DiskFullError, JobRunningError, OutputError, VideoError, VideoNotFoundError
from textovsr.core.jobs import find_jobs
from textovsr.core.journal import FOLDER_SUFFIX, Journal, Pause, Position, read_lines, remove_job

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
        raise ZeroDivisionError(path)

    with monkeypatch.context() as patch:
        patch.setattr("textovsr.core.journal.sync_file", killed)
        with pytest.raises(ZeroDivisionError), Journal(tmp_path / "job", HEADER):
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
        assert names == {"journal.jsonl", "lock", "holder.json", "segment", "state"}
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
        words = rf"process {holder.pid} on .* is at work in .*; wait for it"
        with pytest.raises(JobRunningError, match=words), Journal(tmp_path / "job", HEADER):
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


def test_a_folder_that_a_killed_run_left_in_the_job_is_swept_away(tmp_path: Path) -> None:
    write(tmp_path / "job", 1)
    (tmp_path / "job" / ".out.1234.part").mkdir()
    (tmp_path / "job" / ".out.1234.part" / "frame_000001.png").write_bytes(b"")
    with Journal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 10
        assert not (tmp_path / "job" / ".out.1234.part").exists()
        (tmp_path / "job" / ".out.5678.part").mkdir()
    remove_job(tmp_path / "job")
    assert not list(tmp_path.iterdir())


def test_a_source_that_changes_gets_no_further_segment(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(b"one")
    header = {**HEADER, "source": str(source), "input": sha256_of(source)}
    with Journal(tmp_path / "job", header) as journal:
        commit(journal)
        os.utime(source, (1, 1))  # touched only
        commit(journal)
        source.write_bytes(b"two")
        with pytest.raises(VideoError, match="changed meanwhile; run it again"):
            commit(journal)
        source.unlink()
        with pytest.raises(VideoNotFoundError, match="put it back and run the same job again"):
            commit(journal)
    assert len(read_lines(tmp_path / "job")) == 1 + 2


def test_without_a_digest_a_touch_is_a_change(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(b"one")
    with Journal(tmp_path / "job", {**HEADER, "source": str(source)}) as journal:
        os.utime(source, (1, 1))
        with pytest.raises(VideoError, match="with the content it had before the work goes on"):
            commit(journal)


def test_a_folder_that_vanishes_is_said(tmp_path: Path) -> None:
    with Journal(tmp_path / "job", HEADER) as journal:
        commit(journal)
        shutil.rmtree(tmp_path / "job")
        with pytest.raises(OutputError, match=r"Expected the folder of .* to stay while it is written to"):
            journal.commit(1, Pause(), ".mp4")
    assert not (tmp_path / "job").exists()


def test_looking_at_a_job_leaves_it_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / f"x{FOLDER_SUFFIX}"
    folder.mkdir()
    assert [job.running for job in find_jobs(tmp_path)] == [False]
    assert not list(folder.iterdir())


def test_a_whole_line_of_no_segment_is_not_listed(tmp_path: Path) -> None:
    folder = tmp_path / f"x{FOLDER_SUFFIX}"
    folder.mkdir()
    lines = (b'{"key": "a"}', b'{"frames": "many"}')
    (folder / "journal.jsonl").write_bytes(b"".join(b"%s %08x\n" % (line, zlib.crc32(line)) for line in lines))
    assert [job.segments for job in find_jobs(tmp_path)] == [0]


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, DiskFullError, "free some space and run it again"),
        (errno.EROFS, OutputError, "Expected to be allowed to write .* choose an output in another folder"),
        (errno.ENOENT, OutputError, "Expected the folder of .* is gone; put it back"),
        (errno.EIO, OutputError, "check its disk, then run it again"),
    ],
)
def test_why_a_file_cannot_be_written_is_said(number: int, kind: type[OutputError], words: str) -> None:
    with pytest.raises(OutputError, match=words) as caught, writing_explained(Path("out.mp4")):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is kind


def test_what_a_kill_while_cleaning_up_has_left_is_swept_by_the_next_job(tmp_path: Path) -> None:
    left, other, empty = (tmp_path / f".{name}{FOLDER_SUFFIX}" for name in ("left", "other", "empty"))
    write(left, 3)
    (left / "journal.jsonl").unlink()
    write(other, 1)
    empty.mkdir()
    with Journal(tmp_path / f".new{FOLDER_SUFFIX}", HEADER):
        assert sorted(path.name for path in tmp_path.iterdir()) == [f".new{FOLDER_SUFFIX}", other.name]
    assert [path.name for path in tmp_path.iterdir()] == [other.name]
    assert find_jobs(tmp_path)[0].frames == 10
