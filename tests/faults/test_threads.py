"""An exception in any thread of a job: it is raised by the call, everything is ended and closed, the job can go on."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from textovsr.core import pipeline
from textovsr.core.errors import CancelledError
from textovsr.core.job import Progress, Source
from textovsr.core.journal import Journal
from textovsr.core.pipeline import restore_video
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.writer import VideoWriter
from textovsr.tests.faults.conftest import FRAMES, JOB
from textovsr.tests.faults.forker import finished
from textovsr.tests.helpers.frames import decoded
from textovsr.tests.helpers.restorers import Trail, TrailShot
from textovsr.tests.helpers.threads import one_thread as one_thread


class InjectedError(Exception):
    """What no part of the pack raises, or catches."""


def failing(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """``function``, but the so manyeth call fails."""
    left = [calls]

    def call(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise InjectedError(threading.current_thread().name) from ValueError("the cause")
        return function(*arguments, **named)

    return call


def open_files(source: Path, output: Path) -> list[str]:
    """The files of a job that this process has open, where the system can tell."""
    gc.collect()
    found: list[str] = []
    with suppress(OSError):
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # another test's, closed meanwhile
                found.append(str(descriptor.readlink()))
    folders = (str(source.resolve().parent), str(output.resolve().parent))
    return [name for name in found if name.startswith(folders)]


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("textovsr")]


def break_decoding(patch: pytest.MonkeyPatch) -> None:
    frames = VideoReader.frames

    def broken(self: VideoReader, **options: Any) -> Iterator[Any]:
        count = failing(lambda: None, 45)
        for frame in frames(self, **options):
            count()
            yield frame

    patch.setattr(VideoReader, "frames", broken)


def break_restoring(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TrailShot, "draw", failing(TrailShot.draw, 100))


def break_encoding(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(VideoWriter, "write", failing(VideoWriter.write, 45))


def break_recording(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "commit", failing(Journal.commit, 4))


def break_muxing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pipeline, "mux", failing(pipeline.mux, 1))


PLACES = {
    "decode": (break_decoding, "textovsr-decode"),
    "restore": (break_restoring, "MainThread"),
    "encode": (break_encoding, "textovsr-encode"),
    "record": (break_recording, "textovsr-encode"),
    "mux": (break_muxing, "MainThread"),
}


@pytest.mark.parametrize("place", PLACES)
def test_an_exception_anywhere_is_raised_with_its_cause(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, expected: object
) -> None:
    output, (break_it, thread) = tmp_path / "out.mp4", PLACES[place]
    with monkeypatch.context() as patch:
        break_it(patch)
        with pytest.raises(InjectedError, match=thread) as caught:
            restore_video(Source(source), Trail(), output, JOB, lambda _: None)
    assert str(caught.value.__cause__) == "the cause"
    del caught
    assert names() == []
    assert open_files(source, output) == []
    assert_goes_on(source, output, expected)
    assert open_files(source, output) == []


@pytest.mark.parametrize(
    ("where", "error"),
    [("report", KeyboardInterrupt), ("check", CancelledError)],
)
def test_an_exception_of_the_caller_ends_everything(
    source: Path, tmp_path: Path, where: str, error: type[BaseException], expected: object
) -> None:
    output, count = tmp_path / "out.mp4", [0]

    def fail(_: Progress | None = None) -> None:
        count[0] += 1
        if count[0] == 45:
            raise error

    report = fail if where == "report" else lambda _: None
    check = fail if where == "check" else lambda: None
    with pytest.raises(error):
        restore_video(Source(source), Trail(), output, JOB, report, check)
    assert names() == []
    assert open_files(source, output) == []
    assert_goes_on(source, output, expected)


def assert_goes_on(source: Path, output: Path, expected: object) -> None:
    """The same job goes on after what is finished, and ends as if nothing had happened."""
    assert not output.exists()
    kept = finished(output)
    assert 0 < kept <= FRAMES
    assert restore_video(Source(source), Trail(), output, JOB, lambda _: None).resumed == kept
    assert decoded(output) == expected
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4"]
