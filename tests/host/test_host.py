"""The corner of the pack that touches the host."""

import importlib
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch


def test_a_preview_shows_what_is_out_of_range_as_black_and_white(pack: ModuleType) -> None:
    """Networks overshoot at edges; a byte that wraps around would be a red or green speck."""
    host = importlib.import_module(f"{pack.__name__}.nodes.host.progress")
    image = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.3]).expand(3, 4, 5)
    assert np.asarray(host._preview(image))[0, :, 0].tolist() == [0, 0, 128, 255, 255]


class Watched:
    """A clock that stands still while nothing is done, and a host that takes half a second to show anything.

    Attributes:
        slow: seconds that it takes now and then, by the number of the showing.
    """

    hidden = None

    def __init__(self) -> None:
        self.now, self.showing = 100.0, 0.0
        self.took, self.slow = 0.5, dict[int, float]()
        self.shown: list[tuple[int, int]] = []
        self.execution = SimpleNamespace(set_progress=self.set_progress)

    def monotonic(self) -> float:
        return self.now

    def set_progress(self, done: int, total: int, preview_image: Any) -> None:
        took = self.slow.get(len(self.shown), self.took)
        self.shown.append((done, preview_image.width))
        self.now += took
        self.showing += took


@pytest.fixture
def watched(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Watched:
    host, watched = importlib.import_module(f"{pack.__name__}.nodes.host.progress"), Watched()
    monkeypatch.setattr(host, "time", watched)
    monkeypatch.setattr(host, "ComfyAPISync", lambda: watched)
    return watched


def run_through(pack: ModuleType, watched: Watched, frames: int) -> None:
    """Report so many frames, ten in a second."""
    host = importlib.import_module(f"{pack.__name__}.nodes.host.progress")
    job = importlib.import_module(f"{pack.__name__}.core.job")
    report, frame = host.progress_reporter(watched), torch.rand(3, 18, 32)
    for done in range(1, frames + 1):
        watched.now += 0.1
        report(job.Progress(done, frames, watched.now - 100, frame, original=frame))


def test_showing_a_run_takes_a_hundredth_of_it(pack: ModuleType, watched: Watched) -> None:
    frames = 10_000
    run_through(pack, watched, frames)
    assert watched.showing < 0.02 * (watched.now - 100)
    assert watched.shown[0] == (1, 512)  # at once
    assert len(watched.shown) > 10
    assert watched.shown[-1][0] == frames


def test_a_run_is_shown_soon_again_after_a_slow_beginning_and_a_hiccup(pack: ModuleType, watched: Watched) -> None:
    """The first showing also loads what it needs, and on a busy machine one takes long that usually does not."""
    watched.took, watched.slow = 0.002, {0: 3.0, 5: 3.0}
    run_through(pack, watched, 100)
    steps = [after - before for (before, _), (after, _) in pairwise(watched.shown)]
    assert max(steps) <= 6  # half a second, counted in frames
