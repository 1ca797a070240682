"""On a CUDA GPU (``pytest -m gpu``): half precision shows the picture of single precision on the CPU."""

import pytest
import torch

from textovsr.core.config import RecurrentConfig
from textovsr.core.device import memory_budget, pick_device
from textovsr.core.job import Job
from textovsr.core.pipeline import restore_frames
from textovsr.core.restorers.loading import make_restorer
from textovsr.tests.helpers.networks import tiny_network

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]


def test_half_precision_is_close_to_single() -> None:
    clip = torch.rand(6, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    frames = [(frame, 0.0) for frame in clip]
    results = []
    for name in ("cpu", "cuda"):
        device = pick_device(name)
        network = tiny_network().to(device)
        restorer = make_restorer(network, RecurrentConfig(window=3), device, memory_budget(device))
        results.append(torch.stack(list(restore_frames(frames, restorer, Job()))))
    assert (results[0] - results[1]).abs().mean() < 1 / 255
