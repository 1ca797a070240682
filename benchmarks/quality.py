"""Quality on the validation clips: textovsr-lite against bicubic.

``python benchmarks/quality.py [--weights FILE] [--json FILE] [--pictures FOLDER]``: PSNR-Y, SSIM and the warping error
(x1000, flow of the original; its own is given too) over 24 frames, and side-by-side crops.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from common import CLIPS, KINDS, load_lite, machine, read_clip, run, table
from PIL import Image
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.quality.fidelity import psnr_y, ssim_y
from textovsr.core.quality.temporal import warping_errors
from textovsr.models.registry import load_network

FRAMES = 24


def main() -> None:
    """Print the table; write the metrics and the crops where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    network = load_network(options.weights) if options.weights else load_lite()
    print(f"{machine()}; {FRAMES} frames a clip, no text\n")
    rows, metrics = [], {}
    for clip in CLIPS:
        hr = read_clip(f"{clip}_hr", FRAMES)
        steadiness = warping(hr, hr, network)
        for kind in KINDS:
            lr = read_clip(f"{clip}_lr_{kind}", FRAMES)
            bicubic = F.interpolate(lr, scale_factor=4, mode="bicubic").clamp(0, 1)
            results = {"bicubic": bicubic, "textovsr-lite": run(network, lr, RecurrentConfig())}
            for name, frames in results.items():
                scores = [psnr_y(frames, hr), ssim_y(frames, hr), warping(frames, hr, network)]
                metrics[f"{clip} {kind} {name}"] = [round(score, 4) for score in scores]
                shown = [f"{scores[0]:.2f}", f"{scores[1]:.4f}", f"{scores[2]:.3f}", f"{steadiness:.3f}"]
                rows.append([f"{clip}, {kind} LR", name, *shown])
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                side_by_side([*results.values(), hr], options.pictures / f"{clip}_{kind}.png")
    table(("clip", "method", "PSNR-Y", "SSIM", "warping error", "the original's"), rows)
    if options.json:
        options.json.write_text(json.dumps(metrics, indent=1), "utf-8")


@torch.inference_mode()
def warping(frames: Tensor, hr: Tensor, network: torch.nn.Module) -> float:
    """Mean warping error x1000."""
    errors = warping_errors(frames, hr, network.basicvsr.spynet)
    return 1000 * sum(errors) / len(errors)


def side_by_side(clips: list[Tensor], path: Path) -> None:
    """Bicubic, ours and the original: the middle of the middle frame."""
    index = FRAMES // 2
    height, width = clips[0].shape[-2:]
    size = min(256, height)
    top, left = (height - size) // 2, (width - size) // 2
    crops = [clip[index, :, top : top + size, left : left + size] for clip in clips]
    picture = torch.cat(crops, dim=2).mul(255).round().byte().permute(1, 2, 0)  # (C,H,W) -> (H,W,C)
    Image.fromarray(picture.numpy()).save(path)


if __name__ == "__main__":
    main()
