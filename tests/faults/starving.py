"""Restores a clip with little memory: ``python starving.py FACTOR:MEGABYTES...`` limits its own address space.

Frames are so many times 320x240; at twice that, a result is larger than any piece of memory that the allocator keeps
from the clip before. Prints a JSON line for each limit: the sentences that were told, the error, the frames, and, of
frames of 320x240, the largest difference from the same clip restored with plenty.
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


def main(limits: list[tuple[int, int]]) -> None:
    """Restore with plenty, then frames of such sizes with so many megabytes more than the process has by then."""
    torch.set_num_threads(1)
    expected = restore(clip(1), RecurrentConfig(window=2, look_ahead=1, tile=96), [])
    for factor, megabytes in limits:
        frames = clip(factor)
        told: list[str] = []
        found, error = [], ""
        try:
            with limited(megabytes):
                found = restore(frames, RecurrentConfig(window=2, look_ahead=1, tile=4096), told)
        except OutOfMemoryError as caught:
            error = str(caught)
        known = zip(found, expected if factor == 1 else [], strict=False)
        difference = max((float((a - b).abs().max()) for a, b in known), default=0.0)
        print(json.dumps({"told": told, "error": error, "frames": len(found), "difference": difference}))


def clip(factor: int) -> list[ShotFrame]:
    """Three frames."""
    images = torch.rand(3, 3, 240 * factor, 320 * factor, generator=torch.Generator().manual_seed(0))
    return [ShotFrame(image) for image in images]


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
    plan = restorer.plan(*frames[0].image.shape[-2:])
    restoration = Restoration(restorer, plan, lambda: None, told.append)
    return [item.image for item in restoration.run(frames) if not isinstance(item, Pause)]


if __name__ == "__main__":
    logging.disable()
    main([(int(factor), int(megabytes)) for factor, megabytes in (limit.split(":") for limit in sys.argv[1:])])
