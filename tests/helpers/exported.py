"""Exported networks for tests: tiny ones, calibrated with noise."""

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textovsr.core.export.calibrate import observe, quantize
from textovsr.core.export.material import Clip
from textovsr.models.exported import ExportedTextOVSR, save_exported
from textovsr.tests.helpers.networks import tiny_network

CARD = {"architecture": "TextOVSR", "licence": "none"}


def smooth_clip(frames: int, height: int, width: int) -> Tensor:
    """Blurred noise, (T,3,H,W) in [0,1]."""
    generator = torch.Generator().manual_seed(frames * height * width)
    coarse = torch.rand(frames, 3, height // 4 + 1, width // 4 + 1, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bilinear")


@cache
def tiny_exported(eight_bits: bool = True, seed: int = 0) -> ExportedTextOVSR:
    """A tiny network, all its convolutions but those of the attention in 8 bits, or none."""
    network = tiny_network(seed)
    if not eight_bits:
        return ExportedTextOVSR(network, {}, CARD)
    convolutions = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and "cross_attn" not in name
    }
    seen = observe(network, list(convolutions), [Clip(smooth_clip(3, 64, 64))])
    layers = {name: quantize(module, *seen[name].range()) for name, module in convolutions.items()}
    return ExportedTextOVSR(network, layers, CARD)


def save_tiny_exported(path: Path, seed: int = 0) -> Path:
    """The file of such a network; returns its path."""
    save_exported(tiny_exported(seed=seed), path)
    return path
