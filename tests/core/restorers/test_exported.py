"""An exported network as a restorer, against the network it was made of."""

import logging
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.errors import CancelledError, MissingDependencyError
from textovsr.core.job import Job
from textovsr.core.pipeline import restore_frames
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.restorer import PromptedFrame, Restorer
from textovsr.core.restorers.exported import ExportedRestorer
from textovsr.core.restorers.loading import make_restorer
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.windows import slide
from textovsr.models.exported import ExportedTextOVSR, load_exported
from textovsr.tests.helpers.exported import save_tiny_exported, smooth_clip, tiny_exported
from textovsr.tests.helpers.networks import tiny_network

CPU = torch.device("cpu")
ENOUGH = 1 << 32


def restore(restorer: Restorer, clip: Tensor) -> Tensor:
    job = Job(degradation="heavy noise", cut_threshold=math.inf)
    return torch.stack(list(restore_frames(((frame, 0.0) for frame in clip), restorer, job)))


def original(exported: ExportedTextOVSR, **settings: int) -> TextOVSRRestorer:
    return TextOVSRRestorer(exported.network, RecurrentConfig(**settings), CPU, ENOUGH)


def restorer(exported: ExportedTextOVSR, **settings: int) -> ExportedRestorer:
    return ExportedRestorer(exported, RecurrentConfig(**settings), CPU, ENOUGH)


@pytest.mark.parametrize("settings", [{}, {"tile": 24, "window": 2, "look_ahead": 1}])
def test_without_8_bits_it_is_the_network(settings: dict[str, int]) -> None:
    clip = smooth_clip(5, 70, 83)
    exported = tiny_exported(eight_bits=False)
    found, expected = restore(restorer(exported, **settings), clip), restore(original(exported, **settings), clip)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_8_bits_are_close_to_it() -> None:
    clip = smooth_clip(5, 70, 83)
    exported = tiny_exported()
    found, expected = restore(restorer(exported), clip), restore(original(exported), clip)
    assert 45 < psnr_y(found, expected) < 120


def test_tiles_are_seen_by_nobody_and_runs_are_equal() -> None:
    clip = smooth_clip(4, 70, 83)
    whole = restore(restorer(tiny_exported()), clip)
    assert torch.equal(restore(restorer(tiny_exported()), clip), whole)
    tiled = restore(restorer(tiny_exported(), tile=24), clip)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=0.5 / 255)


def test_a_shot_goes_on_where_another_stopped() -> None:
    frames = smooth_clip(6, 64, 64)
    items = [PromptedFrame(image) for image in frames]
    running = restorer(tiny_exported(), window=2, look_ahead=1)
    plan = running.plan(64, 64)
    windows = list(slide(items, plan))
    shot = running.open_shot(64, 64, plan)
    before = [image for window in windows[:2] for image in shot.restore(window, lambda: None)]
    again = restorer(tiny_exported(), window=2, look_ahead=1).open_shot(64, 64, plan)
    again.load_state({key: value.clone() for key, value in shot.state().items()})
    on, anew = (list(each.restore(windows[2], lambda: None)) for each in (shot, again))
    assert len(before) == 4
    assert torch.equal(torch.stack(on), torch.stack(anew))


def test_it_can_be_cancelled() -> None:
    def stop() -> None:
        raise CancelledError("stop")

    frames = ((frame, 0.0) for frame in smooth_clip(3, 64, 64))
    with pytest.raises(CancelledError):
        next(iter(restore_frames(frames, restorer(tiny_exported()), Job(), stop)))


def test_its_identity_follows_the_file(tmp_path: Path) -> None:
    def identity(network: ExportedTextOVSR, **settings: int) -> str:
        return make_restorer(network, RecurrentConfig(**settings), CPU, ENOUGH).identity

    one = load_exported(save_tiny_exported(tmp_path / "one.safetensors"))
    other = load_exported(save_tiny_exported(tmp_path / "other.safetensors", seed=1))
    assert one.digest in identity(one)
    assert identity(one) == identity(one, window=3, tile=32)
    assert len({identity(one), identity(other), identity(one, fade=1)}) == 3


def test_it_runs_on_the_cpu_whatever_there_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = ExportedRestorer(
            tiny_exported(), RecurrentConfig(precision="float16", speedup="both"), torch.device("cuda"), 0
        )
    assert (found.device, found.dtype) == (CPU, torch.float32)
    assert found.memory > 0
    assert "run on the CPU, not on cuda" in caplog.text


def test_without_openvino_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    another = ExportedTextOVSR(tiny_network(), {}, {})  # nobody compiled it before
    with pytest.raises(MissingDependencyError, match="install it with pip install openvino, or choose weights"):
        restorer(another)
