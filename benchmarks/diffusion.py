"""Time and memory of the diffusion systems at full size: ``python benchmarks/diffusion.py [--device cuda]``.

Weights are random: they change the picture, not the work. One window is sampled with few steps; a step's time is the
difference between two numbers of steps, so that encoding and decoding are told apart from sampling, and the time of the
published 50 steps follows. MGLD-VSR's published figure is 1.113 s a frame (512x512, A100, 50 steps).
"""

import argparse
import time
from dataclasses import replace

import psutil
import torch
from common import machine, table
from torch import Tensor, nn

from textovsr.core.device import memory_budget, pick_device
from textovsr.core.motion.networks import load_spynet
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.restorers.systems import make_diffusion_restorer
from textovsr.models.diffvsr import config as diffvsr
from textovsr.models.diffvsr.unet import UNet
from textovsr.models.diffvsr.vae import VAE
from textovsr.models.mgld import config as mgld
from textovsr.models.mgld.denoiser import Denoiser
from textovsr.models.mgld.video_vae import VideoVAE
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText

PUBLISHED_STEPS = 50
SIZES = {"512x512": (128, 128), "1280x720": (180, 320)}
"""Of the result, and height and width of the input."""

FRAMES = {"mgld": 5, "diffvsr": 8}
"""Of one window."""


def random_network(build: type[nn.Module], *configs: object) -> nn.Module:
    """A network at full size with small random weights."""
    with torch.device("meta"):
        network = build(*configs)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for value in (*network.parameters(), *network.buffers()):
        if value.is_floating_point():
            value.data.normal_(0.0, 0.02, generator=generator)
    return network.eval().requires_grad_(False)


def full_size(system: str) -> dict[str, nn.Module]:
    """All networks of a system."""
    text = random_network(OpenClipText, OpenClipConfig())
    if system == "diffvsr":
        unet = random_network(UNet, diffvsr.UNetConfig())
        return {"text": text, "denoiser": unet, "vae": random_network(VAE, diffvsr.VAEConfig())}
    denoiser = random_network(Denoiser, mgld.UNetConfig(), mgld.StructConfig())
    vae = random_network(VideoVAE, mgld.VAEConfig())
    return {"text": text, "denoiser": denoiser, "vae": vae, "flow": load_spynet()}


def seconds(restorer: Restorer, frames: list[ShotFrame]) -> tuple[float, int]:
    """Time of one window, and the most memory that it took on the device (the process, on a CPU) in bytes."""
    size = frames[0].image.shape[-2], frames[0].image.shape[-1]
    cuda = torch.cuda.is_available() and restorer.parts.device.type == "cuda"  # type: ignore[attr-defined]
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    with torch.inference_mode():
        done = list(Restoration(restorer, restorer.plan(*size), lambda: None, print).run(frames))
    assert sum(isinstance(item, Result) for item in done) == len(frames)
    peak = torch.cuda.max_memory_allocated() if cuda else psutil.Process().memory_info().rss
    return time.perf_counter() - began, peak


def moving(count: int, height: int, width: int) -> list[ShotFrame]:
    """A soft pattern that moves by two pixels a frame."""
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(0))
    large: Tensor = nn.functional.interpolate(coarse, scale_factor=16, mode="bicubic").clamp(0, 1)[0]
    return [ShotFrame(large[:, :height, 2 * i : 2 * i + width].clone()) for i in range(count)]


def measure(system: str, size: str, device: torch.device, dtype: torch.dtype, steps: int) -> list[str]:
    """One row: a step and the rest of a window, a frame of 50 steps, and memory."""
    parts = HeldParts(full_size(system), device, dtype)
    settings = DiffusionSettings(steps=steps, overlap=0)
    frames = moving(FRAMES[system], *SIZES[size])
    taken = []
    for count in (steps, 2 * steps):
        restorer = make_diffusion_restorer(system, parts, replace(settings, steps=count), memory_budget(device))
        if device.type == "cuda" and not taken:
            seconds(restorer, frames)  # kernels are chosen
        found, peak = seconds(restorer, frames)
        taken.append(found)
    step = (taken[1] - taken[0]) / steps
    rest = taken[0] - steps * step
    frame = (rest + PUBLISHED_STEPS * step) / len(frames)
    return [system, size, f"{step:.2f}", f"{rest:.1f}", f"{frame:.2f}", f"{peak / 1e9:.1f}"]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", choices=FRAMES, default=list(FRAMES))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=4, help="as few as tell a step's time (default %(default)s)")
    options = parser.parse_args()
    device = pick_device(options.device)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()
    print(f"{name}, {dtype}\n")
    rows = [measure(system, size, device, dtype, options.steps) for system in options.systems for size in options.sizes]
    table(["system", "result", "a step, s", "rest of a window, s", "a frame of 50 steps, s", "memory, GB"], rows)


if __name__ == "__main__":
    main()
