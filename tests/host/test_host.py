"""The corner of the pack that touches the host."""

import importlib
from types import ModuleType

import numpy as np
import torch


def test_a_preview_shows_what_is_out_of_range_as_black_and_white(pack: ModuleType) -> None:
    """Networks overshoot at edges; a byte that wraps around would be a red or green speck."""
    host = importlib.import_module(f"{pack.__name__}.nodes.host.progress")
    image = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.3]).expand(3, 4, 5)
    assert np.asarray(host._preview(image))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
