"""The corner of the pack that touches the host."""

import importlib
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
    """A clock that stands still while nothing is done, and a host that takes half a second to show anything."""

    hidden = None

    def __init__(self) -> None:
        self.now, self.showing = 100.0, 0.0
        self.shown: list[tuple[int, int]] = []
        self.execution = SimpleNamespace(set_progress=self.set_progress)

    def monotonic(self) -> float:
        return self.now

    def set_progress(self, done: int, total: int, preview_image: Any) -> None:
        self.shown.append((done, preview_image.width))
        self.now += 0.5
        self.showing += 0.5


def test_showing_a_run_takes_a_hundredth_of_it(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    host = importlib.import_module(f"{pack.__name__}.nodes.host.progress")
    job = importlib.import_module(f"{pack.__name__}.core.job")
    watched, frame, frames = Watched(), torch.rand(3, 18, 32), 10_000
    monkeypatch.setattr(host, "time", watched)
    monkeypatch.setattr(host, "ComfyAPISync", lambda: watched)
    report = host.progress_reporter(watched)
    for done in range(1, frames + 1):
        watched.now += 0.1
        report(job.Progress(done, frames, watched.now - 100, frame, original=frame))
    assert watched.showing < 0.02 * (watched.now - 100)
    assert watched.shown[0] == (1, 512)  # at once
    assert len(watched.shown) > 10
    assert watched.shown[-1][0] == frames
