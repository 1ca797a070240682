"""A GPU's memory that runs out, injected into any module of a network: at random moments, and for ever."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from textovsr.core.config import EncodeConfig, RecurrentConfig
from textovsr.core.errors import OutOfMemoryError
from textovsr.core.job import Job, Restored, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.tests.faults.forker import finished
from textovsr.tests.helpers import diffvsr_shots
from textovsr.tests.helpers.networks import tiny_network
from textovsr.tests.helpers.threads import one_thread as one_thread

JOB = Job(encode=EncodeConfig(codec="ffv1"), segment=4)


def text_ovsr() -> Restorer:
    config = RecurrentConfig(window=4, look_ahead=2)
    return TextOVSRRestorer(tiny_network(), config, torch.device("cpu"), memory=1 << 34)


SYSTEMS = {"TextOVSR": (text_ovsr, 0.8, 0.5), "DiffVSR": (diffvsr_shots.make, 0.25, 4.0)}
"""How to make one, how many seconds to restore, and how far pictures may be from each other on average, of 255: other
windows and tiles change a recurrent network's last bits, and the details that a diffusion system invents."""


@contextmanager
def out_of_memory(moments: set[int], after: int | None = None) -> Iterator[list[int]]:
    """Within the block these calls of modules find no memory, and after ``after`` none does; yields their number."""
    calls = [0]

    def hook(*_: Any) -> None:
        calls[0] += 1
        if calls[0] in moments or (after is not None and calls[0] > after):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (injected)")

    handle = register_module_forward_pre_hook(hook)
    try:
        yield calls
    finally:
        handle.remove()


def restore(source: Path, output: Path, system: str) -> Restored:
    make, seconds, _ = SYSTEMS[system]
    return restore_video(Source(source, duration=seconds), make(), output, JOB, lambda _: None)


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


@pytest.fixture(scope="module", params=SYSTEMS)
def case(request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """A system, the calls of modules in an undisturbed run, and its pictures."""
    output = tmp_path_factory.mktemp("expected") / "out.mkv"
    with out_of_memory(set()) as calls:
        restore(source, output, request.param)
    return request.param, calls[0], pictures(output)


def assert_alike(found: np.ndarray, expected: np.ndarray, system: str) -> None:
    assert found.shape == expected.shape
    assert abs(found - expected).mean() < SYSTEMS[system][2]


def test_memory_that_runs_out_now_and_then(source: Path, tmp_path: Path, case: tuple[Any, ...]) -> None:
    system, calls, expected = case
    moments = set(random.Random(system).sample(range(1, calls), 2))
    with out_of_memory(moments):
        done = restore(source, tmp_path / "out.mkv", system)
    assert len([note for note in done.notes if note.startswith("Memory ran out; the work goes on with")]) == 2
    assert_alike(pictures(tmp_path / "out.mkv"), expected, system)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_memory_that_never_comes_back(source: Path, tmp_path: Path, case: tuple[Any, ...]) -> None:
    system, calls, expected = case
    if system != "TextOVSR":
        pytest.skip("the clip is one segment; tests/core/restorers has the error")
    output = tmp_path / "out.mkv"
    with out_of_memory(set(), after=2 * calls // 3), pytest.raises(OutOfMemoryError, match="close other programs"):
        restore(source, output, system)
    assert not output.exists()
    kept = finished(output)
    done = restore(source, output, system)
    assert done.resumed == kept > 0
    assert_alike(pictures(output), expected, system)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]
