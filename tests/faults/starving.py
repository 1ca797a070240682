"""Restores a clip with less memory than it wants: ``python starving.py MEGABYTES`` limits its own address space.

Prints a JSON object: the sentences that were told, the frames, and the largest difference from the same clip restored
with plenty.
"""

import json
import logging
import resource
import sys

import psutil
import torch

from textovsr.core.config import RecurrentConfig
from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, ShotFrame
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.tests.helpers.networks import tiny_network


def main(megabytes: int) -> None:
    """Restore twice, with plenty and with little."""
    torch.set_num_threads(1)
    clip = torch.rand(3, 3, 240, 320, generator=torch.Generator().manual_seed(0))
    frames = [ShotFrame(image) for image in clip]
    tiled = RecurrentConfig(window=2, look_ahead=1, tile=32)
    expected = restore(frames, tiled, [])
    told: list[str] = []
    limit = psutil.Process().memory_info().vms + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = restore(frames, RecurrentConfig(window=2, look_ahead=1, tile=4096), told)
    difference = max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))
    print(json.dumps({"told": told, "frames": len(found), "difference": difference}))


def restore(frames: list[ShotFrame], config: RecurrentConfig, told: list[str]) -> list[torch.Tensor]:
    """Restore a clip, collecting what is told."""
    restorer = TextOVSRRestorer(tiny_network(), config, torch.device("cpu"), memory=1 << 40)
    restoration = Restoration(restorer, restorer.plan(240, 320), lambda: None, told.append)
    return [item.image for item in restoration.run(frames) if not isinstance(item, Pause)]


if __name__ == "__main__":
    logging.disable()
    main(int(sys.argv[1]))
