"""Compiled networks in processes of their own: on other processors, and when they are gone."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from textovsr.core.export.compiled import compile_network
from textovsr.models.exported import load_exported
from textovsr.tests.helpers.exported import save_tiny_exported

BRANCH = """
import gc, signal, sys, torch
from pathlib import Path
from textovsr.core.export.compiled import compile_network
from textovsr.models.exported import load_exported
file, given, result = map(Path, sys.argv[1:])
torch.save(compile_network(load_exported(file)).basicvsr.forward_resblocks_layer10_po(torch.load(given)), result)
"""
SIGNAL = """
gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("taken"))
signal.raise_signal(signal.SIGINT)
"""


def test_other_processors_compute_the_same_and_signals_arrive_when_it_is_gone(tmp_path: Path) -> None:
    """Without VNNI two products are added in 16 bits: weights of 8 bits would overflow there, ours do not.

    OpenVINO gives a thread a stack for its signals and may leave a freed one behind: DataLoader's end, or Ctrl-C, was
    a segmentation fault.
    """
    file = save_tiny_exported(tmp_path / "tiny8.safetensors")
    given, result = tmp_path / "given.pt", tmp_path / "result.pt"
    x = torch.randn(1, 16, 40, 40, generator=torch.Generator().manual_seed(0))
    torch.save(x, given)
    done = subprocess.run(
        [sys.executable, "-c", BRANCH + SIGNAL, file, given, result],
        env={**os.environ, "OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode, done.stdout) == (0, "taken\n"), done.stderr
    own = compile_network(load_exported(file)).basicvsr.forward_resblocks_layer10_po(x)
    torch.testing.assert_close(torch.load(result, weights_only=True), own, rtol=0, atol=1e-4)
