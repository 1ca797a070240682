"""Processes that make training data: what they say when a run is stopped."""

import multiprocessing.connection
import sys

import pytest
import torch
from torch.utils.data import DataLoader

from textovsr.training.data_process import begin


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere batches are handed over otherwise")
def test_a_batch_that_is_not_taken_is_not_complained_about(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of the handshake over a batch; the process has said all it says when it has ended."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    batches = iter(DataLoader(torch.ones(8, 3), 2, num_workers=1, worker_init_fn=begin))  # type: ignore[arg-type]
    assert next(batches).shape == (2, 3)
    monkeypatch.setattr(multiprocessing.connection, "answer_challenge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    monkeypatch.undo()
    del batches
    assert capfd.readouterr().err == ""


def test_other_errors_are_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    begin(0)
    error = ValueError("a fault of ours")
    sys.excepthook(ValueError, error, None)
    assert capsys.readouterr().err == "ValueError: a fault of ours\n"
