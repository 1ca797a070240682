"""Restores a clip with less and less memory: ``python starving.py MEGABYTES...`` limits its own address space.

Prints a JSON line for each limit: the sentences that were told, the error, the frames, and the largest difference from
the same clip restored with plenty.
"""

import json
import logging
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from textovsr.core.config import RecurrentConfig
from textovsr.core.errors import OutOfMemoryError
from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, ShotFrame
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.tests.helpers.networks import tiny_network


def main(limits: list[int]) -> None:
    """Restore with plenty, then with so many megabytes more than the process has by then."""
    torch.set_num_threads(1)
    clip = torch.rand(3, 3, 240, 320, generator=torch.Generator().manual_seed(0))
    frames = [ShotFrame(image) for image in clip]
    expected = restore(frames, RecurrentConfig(window=2, look_ahead=1, tile=96), [])
    for megabytes in limits:
        told: list[str] = []
        found, error = [], ""
        try:
            with limited(megabytes):
                found = restore(frames, RecurrentConfig(window=2, look_ahead=1, tile=4096), told)
        except OutOfMemoryError as caught:
            error = str(caught)
        difference = max((float((a - b).abs().max()) for a, b in zip(found, expected, strict=False)), default=0.0)
        print(json.dumps({"told": told, "error": error, "frames": len(found), "difference": difference}))


@contextmanager
def limited(megabytes: int) -> Iterator[None]:
    """Within the block the process gets no more than so much beyond what it has."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + (megabytes << 20), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def restore(frames: list[ShotFrame], config: RecurrentConfig, told: list[str]) -> list[torch.Tensor]:
    """Restore a clip, collecting what is told."""
    restorer = TextOVSRRestorer(tiny_network(), config, torch.device("cpu"), memory=1 << 40)
    restoration = Restoration(restorer, restorer.plan(240, 320), lambda: None, told.append)
    return [item.image for item in restoration.run(frames) if not isinstance(item, Pause)]


if __name__ == "__main__":
    logging.disable()
    main([int(limit) for limit in sys.argv[1:]])
