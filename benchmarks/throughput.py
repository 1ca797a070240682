"""How much of this machine's convolution speed a whole job reaches: decoding, both shipped networks, encoding.

``python benchmarks/throughput.py [--frames N] [--size WIDTHxHEIGHT]``: the bare convolution before and after each job,
the convolutions of the job counted while it runs, and their quotient, by the clock and by the processors' time. About 5
minutes on 2 cores.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import torch
from common import machine, table
from engine import make_video
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from textovsr.core.config import FIDELITY, RecurrentConfig
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.restorers.loading import load_restorer
from textovsr.models.catalog import find_weights
from textovsr.models.narrow import NarrowConv2d

Speeds: TypeAlias = "tuple[float, float]"
"""GFLOP a second by the clock and a second of the processors: the latter is what counts on a busy machine."""

CHANNELS = {"textovsr-lite": 32, "textovsr-base": 64}
SIZES = ((180, 320), (64, 64), (72, 72), (128, 128), (256, 256))
"""Of the bare convolution: a frame, and tiles that stay in a processor's cache."""
MEMORY = 4 << 30


def clocks() -> tuple[float, float]:
    """Seconds by the clock and of the processors."""
    return time.perf_counter(), time.process_time()


def bare_convolution(channels: int, height: int, width: int) -> Speeds:
    """Speeds of conv2d 3x3, channels_last, the best of 15 rounds of a tenth of a second or more."""
    layer = nn.Conv2d(channels, channels, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.rand(1, channels, height, width).contiguous(memory_format=torch.channels_last)
    work = 2 * 9 * channels**2 * height * width
    repeats = max(int(15e9 / work), 1)
    best = (0.0, 0.0)
    with torch.inference_mode():
        layer(x)
        for _ in range(15):
            began = clocks()
            for _ in range(repeats):
                layer(x)
            best = faster(best, speeds(repeats * work / 1e9, began))
    return best


def speeds(work: float, began: tuple[float, float]) -> Speeds:
    """What was done since, by each clock."""
    wall, processors = (now - then for now, then in zip(clocks(), began, strict=True))
    return work / wall, work / processors


def faster(one: Speeds, other: Speeds) -> Speeds:
    """The better of either kind."""
    return max(one[0], other[0]), max(one[1], other[1])


@contextmanager
def counted_convolutions() -> Iterator[Callable[[], float]]:
    """Count the GFLOP of convolutions as they are meant: without the zeros that ``NarrowConv2d`` adds on a CPU."""
    with FlopCounterMode(display=False) as counter, patch.object(NarrowConv2d, "forward", nn.Conv2d.forward):
        yield lambda: sum(n for op, n in counter.get_flop_counts()["Global"].items() if "conv" in str(op)) / 1e9


def job(name: str, source: Path) -> tuple[float, float]:
    """Do a whole job; returns when it began, its weights being loaded."""
    restorer = load_restorer(find_weights(name, []), RecurrentConfig(), torch.device("cpu"), MEMORY, FIDELITY)
    with tempfile.TemporaryDirectory() as folder:
        began = clocks()
        restore_video(Source(source), restorer, Path(folder) / "out.mp4", Job(), lambda _: None)
    return began


def measure(name: str, source: Path, frames: int) -> list[str]:
    """A row of the table."""
    with counted_convolutions() as count:
        job(name, source)
        work = count()
    best = dict.fromkeys(SIZES, (0.0, 0.0))
    reached = (0.0, 0.0)
    for _ in range(2):  # in turn, so that both meet the same machine
        best = {size: faster(found, bare_convolution(CHANNELS[name], *size)) for size, found in best.items()}
        reached = faster(reached, speeds(work, job(name, source)))
    frame, fastest = best[SIZES[0]], reduce(faster, best.values())
    shares = [f"{reached[clock] / bare[clock]:.0%}" for clock in (0, 1) for bare in (frame, fastest)]
    by_clock = (f"{speed[0]:.0f}" for speed in (reached, frame, fastest))
    return [name, f"{work / 1e3 / frames:.3f}", f"{work / reached[0] / frames:.2f}", *by_clock, *shares]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", default="320x180", help="of the source, WIDTHxHEIGHT")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    print(f"{machine()}; {options.frames} frames of {options.size}, H.264 in and out\n")
    with tempfile.TemporaryDirectory() as folder:
        source = make_video(Path(folder) / "in.mp4", options.frames, height, width)
        rows = [measure(name, source, options.frames) for name in CHANNELS]
    header = (
        "network",
        "TFLOP a frame",
        "s a frame",
        "GFLOP/s",
        "bare, frame",
        "bare, fastest",
        "of frame",
        "of fastest",
        "CPU of frame",
        "CPU of fastest",
    )
    table(header, rows)


if __name__ == "__main__":
    main()
