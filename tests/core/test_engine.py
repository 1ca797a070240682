"""The engine around a restorer: stages at once, stopping anywhere and going on, segments, threads, the last word."""

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.config import EncodeConfig, ResultConfig
from textovsr.core.errors import CancelledError, DamagedVideoError, EncoderError, VideoError
from textovsr.core.job import Job, Progress, Source
from textovsr.core.journal import read_lines
from textovsr.core.pipeline import job_folder, restore_video
from textovsr.core.restorer import PromptedFrame
from textovsr.core.tiles import Check
from textovsr.core.video.color import BT709, ColorTags
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.writer import VideoWriter
from textovsr.core.windows import Window
from textovsr.tests.faults.forker import until
from textovsr.tests.helpers.frames import decoded
from textovsr.tests.helpers.restorers import Enlarge, EnlargedShot, Trail

EXACT = EncodeConfig(codec="ffv1")
SIZE = (64, 36)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("textovsr-")]


@cache
def scene(number: int) -> Tensor:
    """(3,36,128): a picture to pan over."""
    coarse = torch.rand(3, 9, 32, generator=torch.Generator().manual_seed(number))
    return coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)


def make_video(path: Path, frames: int, cuts: set[int]) -> Path:
    """A video without loss that pans, with irregular times."""
    tags = ColorTags(BT709, BT709, BT709, full_range=True)
    spec = VideoSpec(*SIZE, Fraction(1, 1000), Fraction(25), Fraction(1), tags)
    with VideoWriter(path, spec, EXACT) as writer:
        for index in range(frames):
            shot = sum(cut <= index for cut in cuts)
            writer.write(scene(shot)[:, :, index % 64 : index % 64 + 64], 40 * index + index % 3, 40)
    return path


def ignore(_: Progress) -> None:
    """Report to nobody."""


def run(
    source: Path, output: Path, restorer: Enlarge, segment: int = 0, check: Check = lambda: None
) -> list[tuple[Fraction, bytes]]:
    restore_video(Source(source), restorer, output, Job(encode=EXACT, segment=segment), ignore, check)
    return decoded(output)


class Stop:
    """A check that cancels at the n-th call."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise CancelledError


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=st.integers(1, 26),
    cuts=st.sets(st.integers(5, 21), max_size=2).filter(lambda cuts: len(cuts) < 2 or max(cuts) - min(cuts) > 5),
    length=st.integers(1, 6),
    look_ahead=st.integers(0, 4),
    segment=st.integers(1, 9),
    stops=st.lists(st.integers(1, 26), max_size=3),
)
def test_however_it_is_cut_up_and_stopped_the_result_is_the_same(
    tmp_path: Path, frames: int, cuts: set[int], length: int, look_ahead: int, segment: int, stops: list[int]
) -> None:
    """The restorer's frames depend on all before them in their shot, and on those its windows let it see."""
    source = make_video(tmp_path / "in.mkv", frames, cuts)
    whole = run(source, tmp_path / "whole.mkv", Trail(length, look_ahead))
    assert len(whole) == frames
    assert [time for time, _ in whole] == [time for time, _ in decoded(source)]
    output = tmp_path / "out.mkv"
    for calls in stops:
        if output.exists():
            output.unlink()
        try:
            run(source, output, Trail(length, look_ahead), segment, Stop(calls))
        except CancelledError:
            assert not output.exists()
    assert run(source, output, Trail(length, look_ahead), segment) == whole
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "whole.mkv", "out.mkv"}


def test_cuts_begin_new_shots(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", 30, {10, 20})
    restorer = Enlarge(4, 2)
    restored = restore_video(Source(source), restorer, tmp_path / "out.mkv", Job(encode=EXACT), ignore)
    assert (restored.shots, restorer.shots) == (3, 3)
    assert [start for start, _ in restorer.seen] == [0, 4, 8] * 3
    one_shot = Enlarge(4, 2)
    restore_video(Source(source), one_shot, tmp_path / "one.mkv", Job(encode=EXACT, cut_threshold=1), ignore)
    assert one_shot.shots == 1


def fails(*_: object) -> None:
    raise EncoderError("the encoder gave up")


@pytest.mark.parametrize("stage", ["decode", "restore", "report", "encode", "commit", "join"])
@pytest.mark.parametrize("after", [0, 9])
def test_an_error_in_any_stage_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, after: int
) -> None:
    source, output = make_video(tmp_path / "in.mkv", 30, {14}), tmp_path / "out.mkv"
    whole = run(source, tmp_path / "whole.mkv", Trail(4, 2))
    places = {
        "decode": "textovsr.core.video.reader.to_rgb",
        "restore": "textovsr.tests.helpers.restorers.EnlargedShot.draw",
        "encode": "textovsr.core.video.writer.VideoWriter.write",
        "commit": "textovsr.core.journal.Journal.commit",
        "join": "textovsr.core.pipeline.mux",
    }
    report = ignore
    with monkeypatch.context() as patch:
        if stage == "report":
            report = failing_after(ignore, after)
        else:
            original = resolve(places[stage])
            patch.setattr(places[stage], failing_after(original, 0 if stage in ("commit", "join") else after))
        with pytest.raises(EncoderError, match="gave up"):
            restore_video(Source(source), Trail(4, 2), output, Job(encode=EXACT, segment=4), report)
    assert not output.exists()
    frames = sum(line["frames"] for line in read_lines(job_folder(output))[1:])
    assert frames > 0 if stage == "join" or (after and stage in ("report", "encode")) else True
    seen = Trail(4, 2)
    assert run(source, output, seen, 4) == whole
    assert len(seen.prompts) == 30 - frames
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "whole.mkv", "out.mkv"}


def failing_after(function: Callable[..., object], calls: int) -> Callable[..., object]:
    left = calls

    def wrapped(*arguments: object, **options: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise EncoderError("the encoder gave up")
        return function(*arguments, **options)

    return wrapped


def resolve(name: str) -> Callable[..., object]:
    import pkgutil

    return pkgutil.resolve_name(name)


class Waiting(Enlarge):
    """A restorer one frame of which waits for an event."""

    def __init__(self, index: int, event: Callable[[], bool]) -> None:
        super().__init__(2, 1)
        self.index, self.event = index, event

    def open_shot(self, *_: object) -> "WaitingShot":
        return WaitingShot(self)


class WaitingShot(EnlargedShot):
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        assert isinstance(self.restorer, Waiting)
        for image in super().restore(window, check):
            if self.done == self.restorer.index:
                until(self.restorer.event)
            yield image


def test_decoding_goes_on_while_a_frame_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, read = make_video(tmp_path / "in.mkv", 30, set()), []
    original = resolve("textovsr.core.video.reader.to_rgb")
    monkeypatch.setattr("textovsr.core.video.reader.to_rgb", lambda *a: read.append(1) or original(*a))
    needed = 2 + 1 + 1 + 4 + 1  # the window, its look-ahead, one more to know the end, the queue, the next one
    restorer = Waiting(0, lambda: len(read) >= needed)
    run(source, tmp_path / "out.mkv", restorer)


def test_encoding_goes_on_while_a_frame_is_restored(tmp_path: Path) -> None:
    source, output = make_video(tmp_path / "in.mkv", 30, set()), tmp_path / "out.mkv"
    restorer = Waiting(12, lambda: len(read_lines(job_folder(output))) >= 1 + 2)
    run(source, output, restorer, segment=4)


def test_the_newest_segment_can_be_watched_while_the_job_runs(tmp_path: Path) -> None:
    source, output = make_video(tmp_path / "in.mkv", 40, set()), tmp_path / "out.mp4"
    watched: list[int] = []

    def watch(progress: Progress) -> None:
        if progress.finished is not None:
            watched.append(len(decoded(progress.finished)))

    restorer = Waiting(30, lambda: len(read_lines(job_folder(output))) >= 1 + 2)
    restore_video(Source(source), restorer, output, Job(segment=8), watch)
    assert watched
    assert set(watched) == {8}


def test_progress_counts_what_an_earlier_run_finished(tmp_path: Path) -> None:
    source, output = make_video(tmp_path / "in.mkv", 30, set()), tmp_path / "out.mkv"
    with pytest.raises(CancelledError):
        run(source, output, Trail(4, 2), 8, Stop(22))
    told: list[Progress] = []
    job = Job(encode=EXACT, segment=8)
    restored = restore_video(Source(source), Trail(4, 2), output, job, told.append)
    assert restored.resumed in (8, 16)
    assert [progress.done for progress in told] == list(range(restored.resumed + 1, 31))
    assert told[-1].fps < 31 / told[-1].seconds
    assert f"An earlier run had finished {restored.resumed} frames" in restored.notes[0]


def test_a_source_that_changes_meanwhile_is_named(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", 6, set())

    def change(progress: Progress) -> None:
        if progress.done == 6:
            source.write_bytes(source.read_bytes() + b"\0")

    with pytest.raises(VideoError, match=r"in\.mkv to stay as it is.*but it changed"):
        restore_video(Source(source), Enlarge(), tmp_path / "out.mkv", Job(encode=EXACT), change)
    assert not (tmp_path / "out.mkv").exists()


def test_damage_is_told_and_strict_makes_it_an_error(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", 30, set())
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    restored = restore_video(Source(source), Enlarge(), tmp_path / "out.mkv", Job(encode=EXACT), ignore)
    assert 10 < restored.frames < 30
    assert restored.lost
    with pytest.raises(DamagedVideoError):
        restore_video(Source(source, strict=True), Enlarge(), tmp_path / "s.mkv", Job(encode=EXACT), ignore)


def test_what_the_encoder_refuses_is_said_before_any_work(tmp_path: Path) -> None:
    tags = ColorTags(BT709, BT709, BT709, full_range=True)
    spec = VideoSpec(4200, 16, Fraction(1, 1000), Fraction(25), Fraction(1), tags)
    with VideoWriter(tmp_path / "in.mkv", spec, EXACT) as writer:
        writer.write(torch.zeros(3, 16, 4200), 0, 40)
    restorer = Enlarge()
    with pytest.raises(EncoderError, match=r"Expected libx264 to take 16800x64 .* choose another codec or size"):
        restore_video(Source(tmp_path / "in.mkv"), restorer, tmp_path / "out.mp4", Job(), ignore)
    assert restorer.shots == 0
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_a_smaller_result_keeps_every_frame(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", 5, set())
    job = Job(encode=EXACT, result=ResultConfig(height=20))
    restored = restore_video(Source(source), Enlarge(), tmp_path / "out.mkv", job, ignore)
    assert (restored.frames, restored.width, restored.height) == (5, 36, 20)
