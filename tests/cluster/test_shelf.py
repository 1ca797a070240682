"""What is finished ahead of its turn is kept, whole or not at all, and recorded in order."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from textovsr.core.cluster.layout import Piece, Stretch
from textovsr.core.cluster.piece import Made
from textovsr.core.cluster.shelf import Shelf, ShelvedJournal
from textovsr.core.durable import sha256_of
from textovsr.core.errors import CancelledError, ClusterError
from textovsr.core.journal import Journal, Position

HEADER = {"key": "a"}


def made(folder: Path, begin: int) -> tuple[Made, bytes]:
    """A segment of 8 frames in the middle of a shot."""
    content = b"%d" % begin * 1000
    path = folder / "sent"
    path.write_bytes(content)
    return Made(f"{begin:08}.mp4", len(content), sha256_of(path), 8, Position(1, begin + 8)), content


def piece(begin: int) -> Piece:
    """Two segments."""
    ends = (Stretch(8, Position(1, begin + 8)), Stretch(8, Position(1, begin + 16)))
    return Piece(begin, Position(1, begin), ends)


def put(shelf: Shelf, folder: Path, *begins: int) -> None:
    """Pieces arrive."""
    for begin in begins:
        segments = []
        for frame in (begin, begin + 8):
            segment, content = made(folder, frame)
            shelf.receive(segment, iter([content[:100], content[100:]]))
            segments.append(segment)
        shelf.put(begin, segments)


def contents(journal: Journal) -> list[bytes]:
    return [path.read_bytes()[:4] for path in journal.pictures]


def expected(begins: Sequence[int]) -> list[bytes]:
    return [(b"%d" % begin * 1000)[:4] for begin in begins]


def test_pieces_are_recorded_in_order(tmp_path: Path) -> None:
    job = tmp_path / "job"
    with ShelvedJournal(job, HEADER) as journal:
        shelf = Shelf(journal)
        put(shelf, tmp_path, 32, 16)
        shelf.commit()
        assert (journal.frames, shelf.frames) == (0, 32)
    with ShelvedJournal(job, HEADER) as journal:  # nothing had its turn: it is kept all the same
        shelf = Shelf(journal)
        assert shelf.holds(piece(16))
        assert shelf.holds(piece(32))
        assert not shelf.holds(piece(40))
        assert not shelf.holds(Piece(16, Position(), (Stretch(8, Position(1, 24)), Stretch(7, Position(1, 31)))))
        put(shelf, tmp_path, 0)
        shelf.commit()
        assert (journal.frames, shelf.frames) == (48, 0)
        assert contents(journal) == expected(range(0, 48, 8))
        assert journal.pause().position == Position(1, 48)
        assert not list((job / "ahead").iterdir())


def test_a_kill_within_a_piece_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies between the segments of a piece: the rest of it is on the shelf still."""
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        shelf = Shelf(journal)
        put(shelf, tmp_path, 0, 16)
        recorded, commit = [0], journal.commit

        def dying(*arguments: object) -> None:
            if recorded[0] == 1:
                raise KeyboardInterrupt
            recorded[0] += 1
            commit(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(journal, "commit", dying)
        with pytest.raises(KeyboardInterrupt):
            shelf.commit()
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        assert journal.frames == 8
        shelf = Shelf(journal)
        shelf.commit()
        assert journal.frames == 32


def test_what_is_damaged_or_of_another_job_is_thrown_away(tmp_path: Path) -> None:
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        put(Shelf(journal), tmp_path, 16, 32)
    (tmp_path / "job" / "ahead" / "00000024.mp4").write_bytes(b"other")
    (tmp_path / "job" / "ahead" / "00000099.mp4").write_bytes(b"half of a piece")
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        shelf = Shelf(journal)
        assert shelf.holds(piece(32))
        assert not shelf.holds(piece(16))
        assert not (journal.shelf / "00000099.mp4").exists()
    with ShelvedJournal(tmp_path / "job", {"key": "b"}) as journal:
        assert not Shelf(journal).frames
        assert not list(journal.shelf.iterdir())


def test_a_job_that_goes_on_alone_clears_the_shelf(tmp_path: Path) -> None:
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        shelf = Shelf(journal)
        put(shelf, tmp_path, 0, 32)
        shelf.commit()
    with Journal(tmp_path / "job", HEADER) as alone:
        assert alone.frames == 16
        assert not (tmp_path / "job" / "ahead").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_shelf_that_somebody_made_reaches_no_other_files(tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "00000000.mp4").write_bytes(b"mine")
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        shelf = Shelf(journal)
        put(shelf, tmp_path, 0)
        record = journal.shelf / "00000000.json"
        values = json.loads(record.read_text("utf-8"))
        values["segments"] = [asdict(made(others, 0)[0]) | {"name": "../../others/sent"}]
        record.write_text(json.dumps(values), "utf-8")
        (journal.shelf / "folder").mkdir()
        assert not Shelf(journal).frames
        assert not list(journal.shelf.iterdir())
        journal.shelf.rmdir()
        journal.shelf.symlink_to(others)
        Shelf(journal)
    assert {path.name for path in others.iterdir()} == {"00000000.mp4", "sent"}


def test_nothing_arrives_on_a_closed_shelf(tmp_path: Path) -> None:
    """A job that has ended may delete its folder, and lets others have it."""
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        shelf = Shelf(journal)
        segment, content = made(tmp_path, 0)
        shelf.receive(segment, iter([content]))
        shelf.close()
        with pytest.raises(CancelledError):
            shelf.put(0, [segment])
        with pytest.raises(CancelledError):
            shelf.receive(made(tmp_path, 8)[0], iter([content]))
        assert [path.name for path in journal.shelf.iterdir()] == [segment.name]
    assert not (tmp_path / "job").exists()


def test_what_is_damaged_on_the_way_is_refused(tmp_path: Path) -> None:
    with ShelvedJournal(tmp_path / "job", HEADER) as journal:
        shelf = Shelf(journal)
        segment, content = made(tmp_path, 0)
        with pytest.raises(ClusterError, match=r"Expected 00000000\.mp4 as its worker made it, got other bytes"):
            shelf.receive(segment, iter([content[:-1]]))
