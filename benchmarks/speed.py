"""Speed of textovsr-lite at 320x180, everything in one run.

``python benchmarks/speed.py [--skip-published]``: the bare convolution of this machine, the shipped network against the
published formulation, cost over frames and over area. About 5 minutes on 2 cores; ``engine.py`` measures memory.
"""

import argparse
import time
from collections.abc import Callable

import torch
from common import load_lite, machine, run, table
from throughput import bare_convolution, counted_convolutions
from torch.profiler import ProfilerActivity, profile

from textovsr.core.config import RecurrentConfig
from textovsr.core.text.encode import tokenize
from textovsr.models.clip_text import ClipTextConfig
from textovsr.models.text_ovsr import TextOVSR, TextOVSRConfig

HEIGHT, WIDTH = 180, 320


def seconds(function: Callable[[], object], repeats: int = 1) -> float:
    """Best of ``repeats`` runs."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return best


def clip(frames: int, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """A smooth moving pattern, (T,3,H,W)."""
    generator = torch.Generator().manual_seed(0)
    base = torch.rand((1, 3, height // 8 + 2, width // 8 + 2), generator=generator)
    large = torch.nn.functional.interpolate(base, scale_factor=16, mode="bicubic").clamp(0, 1)[0]
    return torch.stack([large[:, i : i + height, 2 * i : 2 * i + width] for i in (k % 16 for k in range(frames))])


def network_convolutions(network: TextOVSR) -> tuple[float, float]:
    """GFLOP/s reached inside the network's convolutions, and their share of its time."""
    frames = clip(4)
    config = RecurrentConfig(window=4, look_ahead=0)
    with torch.inference_mode():
        with counted_convolutions() as count:
            run(network, frames, config)
            work = count()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            run(network, frames, config)
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    convolving = sum(event.self_cpu_time_total for event in events if "conv" in event.key)
    return work / convolving * 1e6, convolving / total


def lite_frame(network: TextOVSR, frames: int = 12, height: int = HEIGHT, width: int = WIDTH) -> float:
    """Seconds a frame of the streaming restorer."""
    x = clip(frames, height, width)
    return seconds(lambda: run(network, x, RecurrentConfig())) / frames


def published_frame() -> float:
    """Seconds a frame of the published formulation: 64 channels, global attention; random weights, small text tower."""
    text = ClipTextConfig(width=64, layers=2, heads=1, hidden=256)
    network = TextOVSR(TextOVSRConfig(text=text)).eval()
    ids, mask = tokenize(["", ""])
    x = clip(2)[None]
    with torch.inference_mode():
        return seconds(lambda: network(x, ids, mask)) / 2


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-published", action="store_true")
    options = parser.parse_args()
    network = load_lite()
    print(f"{machine()}; textovsr-lite, {WIDTH}x{HEIGHT} -> {4 * WIDTH}x{4 * HEIGHT}\n")
    bare = {channels: bare_convolution(channels, HEIGHT, WIDTH)[0] for channels in (32, 64)}
    reached, share = network_convolutions(network)
    rows = [[f"bare conv2d 3x3, {c} channels", f"{speed:.0f}", ""] for c, speed in bare.items()]
    rows.append(
        ["lite's convolutions", f"{reached:.0f}", f"{reached / bare[32]:.0%} of bare (32), {share:.0%} of the time"]
    )
    table(("convolution", "GFLOP/s", ""), rows)
    lite = lite_frame(network)
    rows = [["lite, streaming", f"{lite:.2f}", ""]]
    if not options.skip_published:
        published = published_frame()
        rows.append(["published formulation", f"{published:.1f}", f"{published / lite:.0f} times lite's"])
    table(("network", "s a frame", ""), rows)
    table(("frames", "s a frame"), [[str(n), f"{lite_frame(network, n):.2f}"] for n in (8, 16, 32)])
    sizes = ((90, 160), (180, 320), (360, 640))
    rows = [[f"{w}x{h}", f"{lite_frame(network, 8, h, w) / (h * w) * 1e6:.1f}"] for h, w in sizes]
    table(("size", "microseconds a pixel"), rows)


if __name__ == "__main__":
    main()
