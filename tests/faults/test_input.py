"""An input that is deleted, changed, replaced or touched while it is restored."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from textovsr.core.durable import sha256_of
from textovsr.core.errors import OutputError, VideoError, VideoNotFoundError
from textovsr.core.job import Progress, Restored, Source
from textovsr.core.pipeline import restore_video
from textovsr.tests.faults.conftest import FRAMES, JOB
from textovsr.tests.faults.forker import finished
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.helpers.restorers import Trail
from textovsr.tests.helpers.threads import one_thread as one_thread


@pytest.fixture
def own(source: Path, tmp_path: Path) -> Path:
    """A copy of the input."""
    (tmp_path / "in").mkdir()
    return Path(shutil.copy2(source, tmp_path / "in" / "in.mp4"))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "out.mp4"


def restore(source: Path, output: Path, moment: int = 0, change: Callable[[], object] = lambda: None) -> Restored:
    """Restore, and do something to the input as soon as so many frames are done."""

    def report(progress: Progress) -> None:
        if progress.done == moment:
            change()

    return restore_video(Source(source), Trail(), output, JOB, report)


@pytest.mark.parametrize("moment", [1, FRAMES])
def test_a_deleted_input_can_be_put_back(own: Path, source: Path, output: Path, moment: int, expected: object) -> None:
    with pytest.raises(VideoNotFoundError, match="put it back and run the same job again: it goes on where it stopped"):
        restore(own, output, moment, own.unlink)
    kept = finished(output)
    assert kept <= moment
    assert not output.exists()
    shutil.copy2(source, own)
    assert restore(own, output).resumed == kept
    assert decoded(output) == expected
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("how", "moment"),
    [("truncated", 45), ("overwritten", 45), ("replaced", FRAMES)],
)
def test_a_changed_input_is_never_mixed_with_what_was_there(
    own: Path, source: Path, output: Path, how: str, moment: int, expected: object
) -> None:
    def change() -> None:
        data = bytearray(own.read_bytes())
        middle = len(data) // 2
        if how == "truncated":
            os.truncate(own, middle)
        elif how == "overwritten":
            with own.open("r+b") as file:
                file.seek(middle)
                file.write(bytes(len(data) - middle))
        else:
            (own.parent / "other").write_bytes(data + b"\0")
            (own.parent / "other").replace(own)

    with pytest.raises(VideoError, match="to stay as it is, but it changed meanwhile; run it again"):
        restore(own, output, moment, change)
    kept = finished(output)
    assert kept <= moment
    assert not output.exists()
    shutil.copy2(source, own)  # what is finished is of the content that is back now, and of no other
    assert restore(own, output).resumed == kept
    assert decoded(output) == expected


def test_another_input_starts_afresh(own: Path, source: Path, output: Path) -> None:
    other = own.with_name("other.mp4")
    other.write_bytes(source.read_bytes() + b"\0\0\0\x08free")
    with pytest.raises(VideoError, match="changed meanwhile"):
        restore(own, output, 45, lambda: other.replace(own))
    assert finished(output) > 0
    done = restore(own, output)
    assert (done.resumed, done.frames) == (0, FRAMES)
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4"]


def test_a_touched_input_is_the_same(own: Path, source: Path, output: Path, expected: object) -> None:
    assert restore(own, output, 45, lambda: os.utime(own, (1, 1))).frames == FRAMES
    assert decoded(output) == expected
    assert packets(output) == packets(source)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no open file")
def test_an_output_folder_that_is_deleted_is_said_and_not_made_again(own: Path, output: Path, expected: object) -> None:
    def delete() -> None:
        output.parent.rename(own.parent / "gone")  # at once: the job goes on writing while files are deleted singly
        shutil.rmtree(own.parent / "gone")

    with pytest.raises(OutputError, match=r"gone; put it back|check folder, rights and disk"):
        restore(own, output, 45, delete)
    assert not output.parent.exists()
    output.parent.mkdir()
    assert restore(own, output).resumed == 0
    assert decoded(output) == expected


def test_an_input_replaced_while_it_is_hashed_is_met(own: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hash_and_touch(path: Path) -> str:
        digest = sha256_of(path)
        path.write_bytes(path.read_bytes() + b"more")
        return digest

    monkeypatch.setattr("textovsr.core.pipeline.sha256_of", hash_and_touch)
    with pytest.raises(VideoError, match="it changed meanwhile"):
        restore(own, output)
    assert not list(output.parent.iterdir())
