"""The same input, seed and settings give the same frames: again, elsewhere, gone on with, and at any pace."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
import torch

from textovsr.core import stages
from textovsr.core.config import EncodeConfig, RecurrentConfig
from textovsr.core.errors import CancelledError
from textovsr.core.from_frames import FramesJob, video_from_frames
from textovsr.core.job import Job, Source
from textovsr.core.journal import Journal
from textovsr.core.pipeline import restore_frames
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.loading import make_restorer
from textovsr.core.video import decode as decoding
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers import determinism
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.determinism import (
    CASES,
    CPU,
    ROOM,
    SYSTEMS,
    TIMES,
    System,
    degrade,
    diffusion,
    digest_of,
    make_film,
)
from textovsr.tests.helpers.networks import tiny_network
from textovsr.tests.helpers.restorers import Trail


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Other numbers of PyTorch's threads may give other last bits: see ``test_threads_matter_little``."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], dict[str, str]]]:
    """What another process makes of every case, each without a stop; it works while the tests here do."""
    folder = tmp_path_factory.mktemp("elsewhere")
    environ = {**os.environ, "PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1", "TZ": "Asia/Tokyo"}
    script = [sys.executable, "-W", "ignore", determinism.__file__, str(folder)]
    with (folder / "out").open("wb") as out, subprocess.Popen(script, stdout=out, env=environ, cwd=folder) as process:

        def found() -> dict[str, str]:
            assert process.wait() == 0
            return dict(json.loads((folder / "out").read_text("utf-8")))

        yield found
        process.kill()


class Stopping:
    """Lets a job finish one segment in each run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit, self.runs = Journal.commit, 0

        def commit_and_stop(journal: Journal, *arguments: Any) -> None:
            commit(journal, *arguments)
            if journal.frames < len(TIMES):
                raise CancelledError

        monkeypatch.setattr(Journal, "commit", commit_and_stop)

    def run(self, system: System, folder: Path) -> Path:
        """Begin the job again until it is done."""
        while True:
            self.runs += 1
            try:
                return system.run(folder)
            except CancelledError:
                continue


@pytest.mark.parametrize("name", SYSTEMS)
def test_stopped_after_every_segment_is_what_another_process_makes_at_once(
    name: str, elsewhere: Callable[[], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = Stopping(monkeypatch)
    result = stopping.run(SYSTEMS[name], tmp_path)
    assert stopping.runs > 1, "nothing was stopped"
    assert digest_of(result) == elsewhere()[name]


@pytest.mark.parametrize("name", [name for name in CASES if name not in SYSTEMS])
def test_what_makes_no_segments_is_the_same_again_and_elsewhere(
    name: str, elsewhere: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    first = CASES[name](tmp_path)
    assert first == CASES[name](tmp_path)
    assert first == elsewhere()[name]


Item = TypeVar("Item")


class Full(stages._Queue[Item]):
    """Hands out nothing before it is full: those who fill it are as far ahead as they may be."""

    held: ClassVar[set[int]] = set()

    def __iter__(self) -> Iterator[Item]:
        items = super().__iter__()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._finished or len(self._items) >= self._depth)
                self.held.add(len(self._items))
            try:
                item = next(items)
            except StopIteration:
                return
            yield item
            del item


class Lockstep(stages._Queue[Item]):
    """Lets nobody work ahead: who has put an item goes on when the one who took it is done with it."""

    held: ClassVar[set[int]] = set()

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.given, self.done = 0, 0

    def put(self, item: Item) -> bool:
        with self._changed:
            wanted = super().put(item)
            self.held.add(len(self._items))
            self.given += 1
            self._changed.wait_for(lambda: self._left or self.done == self.given)
        return wanted

    def __iter__(self) -> Iterator[Item]:
        for item in super().__iter__():
            yield item
            del item
            with self._changed:
                self.done += 1
                self._changed.notify_all()


def tiny(folder: Path) -> Restorer:
    return make_restorer(tiny_network(seed=1), RecurrentConfig(window=2, look_ahead=1), CPU, ROOM)


def system(make: Callable[[Path], Restorer]) -> Callable[[Path], str]:
    return lambda folder: digest_of(System(make).run(folder))


def from_frames(folder: Path) -> str:
    """The film with its own frames put in again."""
    film, output = make_film(folder), folder / "again.mkv"
    with VideoReader(film) as reader:
        frames = (0.9 * frame.image for frame in reader)
        job = FramesJob(len(TIMES), EncodeConfig(codec="ffv1"), "wavelet")
        video_from_frames(frames, output, job, Source(film), lambda _: None)
    digest = digest_of(output)
    output.unlink()
    return digest


JOINED: dict[str, tuple[str, Callable[[Path], str]]] = {
    "a network": ("alone", system(tiny)),
    "a trail": ("alone", system(lambda _: Trail(length=4, look_ahead=2))),
    "degrading": ("degrade.video", lambda folder: digest_of(degrade("VHS", folder))),
    "frames with a source": ("from_frames", from_frames),
}
"""What works in stages: the module that joins them by queues, and what it makes of the film."""


@pytest.mark.parametrize("name", JOINED)
def test_how_far_stages_work_ahead_changes_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, make = JOINED[name]
    expected = make(tmp_path)
    for queue, depth in ((Full, 64), (Full, 2), (Lockstep, 1)):
        monkeypatch.setattr(stages, "_Queue", queue)
        monkeypatch.setattr(f"textovsr.core.{module}.QUEUE", depth)
        queue.held.clear()
        assert make(tmp_path) == expected, (queue.__name__, depth)
        assert max(queue.held) >= min(depth, len(TIMES)), "the stages were not joined by this queue"


FILTERED = {"preset": "fast", "bf": "2"}
CODECS: dict[str, dict[str, str]] = {
    "libx264": FILTERED,
    "libx265": FILTERED,
    "libvpx-vp9": {},
    "ffv1": {},
    "mpeg2video": {"bf": "2"},
    "mpeg4": {"bf": "2"},
}
"""With frames that come out in another order than they were stored in, and with filters between blocks."""


@pytest.mark.parametrize("codec", CODECS)
def test_decoding_side_by_side_changes_nothing(codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip(codec, width=176, height=144, options={"g": "6", **CODECS[codec]})
    path = write_clip(tmp_path / ("in.webm" if "vp9" in codec else "in.mkv"), clip)
    prepare, used, found = decoding.prepare, [], []

    def watched(*arguments: Any, **options: Any) -> Any:
        stream = prepare(*arguments, **options)
        used.append(stream.thread_count)
        return stream

    monkeypatch.setattr(decoding, "prepare", watched)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for threads in (1, 2, 3, 8):
        monkeypatch.setattr(decoding, "DECODER_THREADS", threads)
        with VideoReader(path) as reader:
            found.append([(frame.pts, hashlib.sha256(frame.image.numpy().tobytes()).digest()) for frame in reader])
    assert {1, 2, 3, 8} <= set(used)
    assert len(found[0]) == len(clip.pts)
    assert all(frames == found[0] for frames in found)


@pytest.mark.parametrize("title", [name for name in SYSTEMS if "TextOVSR" not in name and name != "DCM"])
def test_another_seed_gives_another_picture(title: str, tmp_path: Path) -> None:
    """Else the tests above would show nothing."""
    frame = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(0))
    job = Job("a dog", cut_threshold=1)
    first, other = (
        torch.stack(list(restore_frames([(frame, 0.0)], diffusion(title, tmp_path, seed), job))) for seed in (3, 4)
    )
    assert not torch.equal(first, other)


def test_no_operation_is_one_that_pytorch_knows_to_vary(tmp_path: Path) -> None:
    """PyTorch then raises where it has an operation that gives other bits from run to run."""
    torch.use_deterministic_algorithms(True)
    try:
        for name in ("TextOVSR lite", "DCM"):
            SYSTEMS[name].run(tmp_path, name)
    finally:
        torch.use_deterministic_algorithms(False)


def test_threads_matter_little(tmp_path: Path) -> None:
    """Sums that are split among threads are added in another order: the last bits may differ, and no more."""
    frames = [(torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(n)), 0.04 * n) for n in range(3)]
    restorer = SYSTEMS["TextOVSR lite"].make(tmp_path)
    alone = torch.stack(list(restore_frames(frames, restorer, Job())))
    torch.set_num_threads(2)
    both = torch.stack(list(restore_frames(frames, restorer, Job())))
    torch.testing.assert_close(both, alone, rtol=0, atol=1e-4)
