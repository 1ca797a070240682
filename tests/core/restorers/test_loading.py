"""From a file of weights to a restorer."""

from pathlib import Path

import pytest
import torch

from textovsr.core.config import SCALE, RecurrentConfig
from textovsr.core.errors import SettingError
from textovsr.core.restorers.loading import load_restorer, make_restorer
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.tests.helpers.networks import TINY, save_tiny

CPU = torch.device("cpu")


def test_a_file_becomes_a_restorer(tmp_path: Path) -> None:
    config = RecurrentConfig(window=3)
    restorer = load_restorer(save_tiny(tmp_path / "tiny.safetensors"), config, CPU, 1 << 30)
    assert isinstance(restorer, TextOVSRRestorer)
    assert restorer.network.config == TINY
    assert (restorer.scale, restorer.config, restorer.dtype) == (SCALE, config, torch.float32)


def test_another_network_is_named() -> None:
    with pytest.raises(SettingError, match="Expected a TextOVSR network, got Linear; choose other weights"):
        make_restorer(torch.nn.Linear(2, 2), RecurrentConfig(), CPU, 1 << 30)
