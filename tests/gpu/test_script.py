"""benchmarks/gpu.py runs to its end on a CPU, so that a lent graphics card is not spent on finding its mistakes."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from textovsr.core.config import EncodeConfig
from textovsr.tests.helpers.threads import one_thread as one_thread

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_every_table_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module("gpu")
    monkeypatch.setattr(script, "encoders", lambda _: [("h264 ultrafast", EncodeConfig(preset="ultrafast"))])
    for name in ("GPU_WINDOW", "LOOK_AHEAD"):
        monkeypatch.setattr(script, name, 1)  # work is counted over two windows
    kept = ("every result waited for",)
    every = script.measures
    monkeypatch.setattr(script, "measures", lambda config: [m for m in every(config) if m[0] in kept])
    arguments = "--device cpu --sizes 64x64 --nets textovsr-lite --frames 2"
    monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments.split()])
    script.main()
    said = capsys.readouterr().out
    assert "Error" not in said
    for row in ("textovsr-lite | 64x64 | ", *kept, "textovsr-lite | 64x64 | h264 ultrafast | "):
        assert row in said
    assert len(re.findall(r"\|---", said.replace("|---|", "\n|---|"))) >= 5


def test_what_it_switches_off_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measure that was renamed would be switched off nowhere, and seem to bring nothing."""
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module("gpu")
    for _, _, changes in script.measures(script.RecurrentConfig()):
        assert all(hasattr(owner, name) for owner, name, _ in changes)
