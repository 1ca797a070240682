"""What the tests of reading and writing videos share; the clips are made by tests/helpers/clips.py."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.tests.helpers import clips
from textovsr.tests.helpers.clips import Clip


@pytest.fixture
def read_number() -> Callable[[Tensor | np.ndarray], int]:
    """Read back the number of a (3,H,W) frame."""
    return clips.read_number


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[[str, Clip], Path]:
    """Write a clip to ``tmp_path`` and return its path."""
    return lambda name, clip: clips.write_clip(tmp_path / name, clip)


@pytest.fixture
def clip_type() -> type[Clip]:
    """``Clip``."""
    return Clip


@pytest.fixture
def smooth_clip() -> Tensor:
    """(T,3,H,W) smooth random colours in [0,1]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(8, 3, 4, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bicubic").clamp(0, 1)
