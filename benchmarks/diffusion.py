"""Time and memory of the diffusion systems at full size: ``python benchmarks/diffusion.py [--device cuda]``.

Weights are random: they change the picture, not the work. One window is sampled with few steps, whose times are told by
the restorer, so that encoding and decoding are told apart from sampling, and the time of all steps follows. On a CPU it
is processor time, of all cores together, which others that are at work do not change. MGLD-VSR's published figure is
1.113 s a frame (512x512, A100, 50 steps).
"""

import argparse
import resource
import time
from itertools import pairwise

import torch
from common import machine, table
from full_size import SYSTEMS, builders, with_random_numbers
from torch import Tensor, nn

from textovsr.core.device import memory_budget, pick_device
from textovsr.core.motion.networks import load_spynet
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.restorers.systems import DiffusionRestorer, compute_dtype, exact_parts, make_diffusion_restorer

STEPS = {"mgld": 50, "diffvsr": 50, "star": 14, "star-cogvideox": 50, "sdatc": 50}
"""Evaluations of the denoiser by default; STAR's fast mode makes one fewer than it is asked for."""

FRAMES = {"mgld": 5, "diffvsr": 8, "star": 32, "star-cogvideox": 25, "sdatc": 5}
"""Of one window."""

SIZES = {"256x256": (64, 64), "512x512": (128, 128), "1280x720": (180, 320)}
"""Of the result, and height and width of the input."""


def full_size(system: str, device: torch.device) -> HeldParts:
    """All networks of a system, with random numbers."""
    dtype, exact = compute_dtype(system, device), exact_parts(system)
    kept = dtype if dtype == torch.bfloat16 else torch.float32  # a system that is kept in half is too large otherwise
    networks = {name: with_random_numbers(build, kept) for name, build in builders(system).items()}
    if "flow" in networks:
        networks["flow"] = load_spynet()
    return HeldParts(networks, device, dtype, exact)


def seconds(restorer: DiffusionRestorer, frames: list[ShotFrame]) -> tuple[float, list[float], int]:
    """Time of one window, of each step but the first, and the most memory on the device (in all, on a CPU) in bytes."""
    size = frames[0].image.shape[-2], frames[0].image.shape[-1]
    cuda = restorer.parts.device.type == "cuda"  # type: ignore[attr-defined]
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    clock = time.perf_counter if cuda else time.process_time
    moments: list[float] = []

    def tell(done: int, total: int) -> None:
        if cuda:
            torch.cuda.synchronize()
        moments.append(clock())

    restorer.tell_step = tell
    began = clock()
    with torch.inference_mode():
        done = list(Restoration(restorer, restorer.plan(*size), lambda: None, print).run(frames))
    assert sum(isinstance(item, Result) for item in done) == len(frames)
    taken = clock() - began
    peak = torch.cuda.max_memory_allocated() if cuda else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return taken, [after - before for before, after in pairwise(moments)], peak


def moving(count: int, height: int, width: int) -> list[ShotFrame]:
    """A soft pattern that moves by two pixels a frame."""
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(0))
    large: Tensor = nn.functional.interpolate(coarse, scale_factor=16, mode="bicubic").clamp(0, 1)[0]
    return [ShotFrame(large[:, :height, 2 * i : 2 * i + width].clone()) for i in range(count)]


def measure(system: str, size: str, parts: HeldParts, options: argparse.Namespace) -> list[str]:
    """One row: a step and the rest of a window, a frame of all steps, and memory."""
    overlap = -1 if system == "star-cogvideox" else 0  # whose windows must overlap; this one is alone anyway
    settings = DiffusionSettings(steps=options.steps, overlap=overlap)
    frames = moving(options.frames or FRAMES[system], *SIZES[size])
    restorer = make_diffusion_restorer(system, parts, settings, memory_budget(parts.device))
    if parts.device.type == "cuda":
        seconds(restorer, frames)  # kernels are chosen
    whole, steps, peak = seconds(restorer, frames)
    step = sum(steps) / len(steps)
    rest = whole - (len(steps) + 1) * step
    frame = (rest + STEPS[system] * step) / len(frames)
    numbers = [f"{step:.2f}", f"{rest:.1f}", str(STEPS[system]), f"{frame:.2f}", f"{peak / 1e9:.1f}"]
    return [system, size, str(len(frames)), *numbers]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["512x512", "1280x720"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=4, help="as few as tell a step's time (default %(default)s)")
    parser.add_argument("--frames", type=int, default=0, help="of a window; 0 is the system's own")
    options = parser.parse_args()
    device = pick_device(options.device)
    print(f"{torch.cuda.get_device_name(device) if device.type == 'cuda' else machine()}\n")
    rows = []
    for system in options.systems:
        parts = full_size(system, device)
        rows += [measure(system, size, parts, options) for size in options.sizes]
        del parts
    head = ["system", "result", "frames", "a step, s", "rest of a window, s", "steps", "a frame, s", "memory, GB"]
    table(head, rows)


if __name__ == "__main__":
    main()
