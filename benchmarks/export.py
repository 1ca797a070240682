"""What ``textovsr export`` gains and costs: speed against PyTorch in the same run, quality, layer by layer, over time.

``python benchmarks/export.py [speed] [quality] [layers] [drift]`` prints the tables that are named, or all: about ten
minutes on 2 cores. Both networks take turns with as many threads; the best of each counts. The processor's time stands
beside the clock's: on a machine that does other things it is the one to believe; set OMP_WAIT_POLICY=passive, as the
command line does. ONEDNN_MAX_CPU_ISA=AVX2 with ATEN_CPU_CAPABILITY=avx2 makes a processor with AVX-512 compute as one
without it does.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import CLIPS, KINDS, load_lite, machine, read_clip, run, table
from speed import clip
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.export.config import ExportConfig
from textovsr.core.export.export import export_network
from textovsr.core.quality.fidelity import psnr_y
from textovsr.models.catalog import find_weights
from textovsr.models.exported import ExportedTextOVSR, load_exported

SIZES = ((180, 320),)
FRAMES = 8
ROUNDS = 3
GROUPS = {
    "cleaning": ("image_cleaning.",),
    "features": ("basicvsr.frame_extractor.",),
    "flow": ("basicvsr.spynet.",),
    "recurrence": ("basicvsr.backward_res", "basicvsr.forward_res"),
    "reconstruction": ("basicvsr.fusion", "basicvsr.upsample", "basicvsr.conv_hr"),
    "last convolution": ("basicvsr.conv_last",),
}


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor, and of the clock."""
    began, worked = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - worked, time.perf_counter() - began


def print_speed(exported: ExportedTextOVSR) -> None:
    """Time a frame of both, streaming, taking turns."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "none")
    print(f"Limit of instructions: {limit}\n")
    floats, network, rows = ExportedTextOVSR(exported.network, {}, {}), load_lite(), []
    for height, width in SIZES:
        lr = clip(FRAMES, height, width)
        ways = [lambda n=n, lr=lr: run(n, lr, RecurrentConfig()) for n in (network, floats, exported)]
        best = [(float("inf"), float("inf"))] * len(ways)
        for _ in range(ROUNDS):
            for place, way in enumerate(ways):
                best[place] = tuple(map(min, best[place], cost(way)))
        for name, (cpu, wall) in zip(("PyTorch fp32", "exported fp32", "exported int8"), best, strict=True):
            times = [f"{1000 * seconds / FRAMES:.0f}" for seconds in (cpu, wall)]
            rows.append([f"{width}x{height}", name, *times, f"{best[0][0] / cpu:.2f}", f"{best[0][1] / wall:.2f}"])
    table(("size", "network", "CPU ms a frame", "wall ms a frame", "times faster (CPU)", "times faster (wall)"), rows)


def cases() -> list[tuple[str, Tensor, Tensor]]:
    """Name, low resolution and truth of the validation clips."""
    return [
        (f"{name} {kind}", read_clip(f"{name}_lr_{kind}", FRAMES), read_clip(f"{name}_hr", FRAMES))
        for name in CLIPS
        for kind in KINDS
    ]


def print_quality(exported: ExportedTextOVSR) -> None:
    """PSNR-Y against the truth, and between the two."""
    floats, rows = load_lite(), []
    for name, lr, truth in cases():
        whole, eight = (run(network, lr, RecurrentConfig()) for network in (floats, exported))
        before, after = psnr_y(whole, truth), psnr_y(eight, truth)
        rows.append([name, f"{before:.3f}", f"{after:.3f}", f"{before - after:+.3f}", f"{psnr_y(eight, whole):.1f}"])
    table(("clip", "fp32, dB", "int8, dB", "lost, dB", "between them, dB"), rows)


def print_layers(exported: ExportedTextOVSR) -> None:
    """The worst loss of the clips, with only a group of convolutions in 8 bits, and with all but that group."""
    floats = load_lite()  # the exported network's own weights are rounded
    shown = [(lr, truth, run(floats, lr, RecurrentConfig())) for _, lr, truth in cases()]

    def measure(names: set[str]) -> list[str]:
        chosen = {name: layer for name, layer in exported.quantized.items() if name in names}
        network = ExportedTextOVSR(floats, chosen, {})
        found = [run(network, lr, RecurrentConfig()) for lr, _, _ in shown]
        losses = [psnr_y(b, t) - psnr_y(f, t) for f, (_, t, b) in zip(found, shown, strict=True)]
        between = [psnr_y(f, b) for f, (_, _, b) in zip(found, shown, strict=True)]
        return [f"{max(losses):+.3f}", f"{min(between):.1f}"]

    every = set(exported.quantized)
    rows = [["none", *measure(set()), "", ""], ["all", *measure(every), "", ""]]
    for group, starts in GROUPS.items():
        names = {name for name in every if name.startswith(starts)}
        rows.append([group, *measure(names), *measure(every - names)])
    table(("in 8 bits", "worst loss, dB", "from fp32, dB", "all but it: loss", "from fp32"), rows)


def print_drift(exported: ExportedTextOVSR) -> None:
    """What is left of fp32 along 120 frames of vtest: the recurrence carries its own errors."""
    lr = read_clip("vtest_lr_degraded", 24)
    there = torch.cat([lr, lr.flip(0)[1:-1]])
    frames = torch.cat([there] * 3)[:120, :, :96, :96]
    whole, eight = (run(network, frames, RecurrentConfig()) for network in (load_lite(), exported))
    rows = [[f"{i + 1}-{i + 20}", f"{psnr_y(eight[i : i + 20], whole[i : i + 20]):.1f}"] for i in range(0, 120, 20)]
    table(("frames", "from fp32, dB"), rows)


PARTS = {"speed": print_speed, "quality": print_quality, "layers": print_layers, "drift": print_drift}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--exported", type=Path, help="a file of `textovsr export`, instead of exporting lite anew")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        path = options.exported or Path(folder) / "lite-int8.safetensors"
        if not options.exported:
            done = export_network(find_weights("textovsr-lite", []), path, ExportConfig())
            print(
                f"{done.bytes / 1e6:.1f} MB, {done.layers} convolutions; {done.loss} dB lost, {done.worst_loss} worst\n"
            )
        for part in options.parts or PARTS:
            PARTS[part](load_exported(path))


if __name__ == "__main__":
    main()
