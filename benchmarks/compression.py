"""What takes back compression: the validation clips, shrunk and through x264 at the qualities of SDATC's paper.

``python benchmarks/compression.py [--frames N] [--methods NAME...]``: PSNR-Y, SSIM and seconds a frame of bicubic and
of what ships, at CRF 15, 25 and 35, and of the ``degraded`` clips.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import CLIPS, machine, read_clip, run, table
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.degrade.chain import apply_chain, sample_clean
from textovsr.core.degrade.operations import VideoCompression
from textovsr.core.quality.fidelity import psnr_y, ssim_y
from textovsr.models.catalog import SHIPPED, find_weights
from textovsr.models.registry import load_network

QUALITIES = (15, 25, 35)
BICUBIC = "bicubic"


def compressed(hr: Tensor, crf: int) -> Tensor:
    """A clip (T,3,4h,4w) shrunk and compressed, (T,3,h,w)."""
    chain = [*sample_clean((hr.shape[-2], hr.shape[-1])), VideoCompression("libx264", crf=crf)]
    return apply_chain(hr, chain, torch.Generator().manual_seed(0))


def upscaler(name: str) -> Callable[[Tensor], Tensor]:
    """A method by its name: a clip (T,3,h,w) -> (T,3,4h,4w)."""
    if name == BICUBIC:
        return lambda clip: F.interpolate(clip, scale_factor=4, mode="bicubic").clamp(0, 1)
    network = load_network(find_weights(name, []))
    return lambda clip: run(network, clip, RecurrentConfig())


def main() -> None:
    """Read the command line, measure, print a table."""
    names = [BICUBIC, *(shipped.name for shipped in SHIPPED)]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    print(f"{machine()}, {options.frames} frames\n")
    rows = []
    for clip in CLIPS:
        hr = read_clip(f"{clip}_hr", options.frames)
        cases = {f"CRF {crf}": compressed(hr, crf) for crf in QUALITIES}
        cases["degraded"] = read_clip(f"{clip}_lr_degraded", options.frames)
        for case, lr in cases.items():
            for name in options.methods:
                upscale = upscaler(name)
                start = time.perf_counter()
                out = upscale(lr)
                seconds = (time.perf_counter() - start) / len(lr)
                rows.append(
                    [f"{clip}, {case}", name, f"{psnr_y(out, hr):.2f}", f"{ssim_y(out, hr):.4f}", f"{seconds:.2f}"]
                )
    table(("clip", "method", "PSNR-Y", "SSIM", "s a frame"), rows)


if __name__ == "__main__":
    main()
