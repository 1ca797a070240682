"""Speed and memory of TextOVSR on a graphics card: the network alone, whole videos, and what each measure brings.

``python benchmarks/gpu.py [--device cuda] [--sizes 640x360 1920x1080] [--nets textovsr-base textovsr-lite]``. All rows
of a table come from one run. With ``--device cpu``, a small size and few frames the script itself is tried.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from common import machine, table
from torch.utils.flop_counter import FlopCounterMode

from textovsr.core import lane
from textovsr.core.config import GPU_WINDOW, LOOK_AHEAD, EncodeConfig, RecurrentConfig
from textovsr.core.device import memory_budget, pick_device
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.restorer import PromptedFrame
from textovsr.core.restorers import text_ovsr
from textovsr.core.restorers.loading import make_restorer
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.video.color import BT709, ColorTags
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.writer import VideoWriter
from textovsr.core.windows import slide
from textovsr.models import text_ovsr as network_module
from textovsr.models.catalog import find_weights
from textovsr.models.registry import load_network
from textovsr.models.text_ovsr import TextOVSR

RATE = Fraction(60)


@dataclass(frozen=True)
class Measured:
    """A run of the network alone.

    Attributes:
        seconds: a frame.
        tflops: a frame's, in 10^12 operations.
        memory: the most bytes on the card at once, weights included; 0 on a CPU.
    """

    seconds: float
    tflops: float
    memory: int


def moving(frames: int, height: int, width: int) -> torch.Tensor:
    """A photograph-like pattern that moves, (T,3,H,W)."""
    generator = torch.Generator().manual_seed(0)
    base = torch.rand((1, 3, height // 8 + 8, width // 8 + 8), generator=generator)
    large = torch.nn.functional.interpolate(base, scale_factor=8, mode="bicubic").clamp(0, 1)[0]
    return torch.stack([large[:, i : i + height, 2 * i : 2 * i + width] for i in (k % 16 for k in range(frames))])


def synchronize(device: torch.device) -> None:
    """Wait for all that was begun."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def bare_convolution(channels: int, size: tuple[int, int], device: torch.device, dtype: torch.dtype) -> float:
    """TFLOP/s of a convolution 3x3 of so many channels at this size, channels_last, nothing else."""
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1).to(device, dtype).to(memory_format=torch.channels_last)
    x = torch.rand(1, channels, *size, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    repeats = 100 if device.type == "cuda" else 2
    best = float("inf")
    with torch.inference_mode():
        for _ in range(5):
            synchronize(device)
            began = time.perf_counter()
            for _ in range(repeats):
                layer(x)
            synchronize(device)
            best = min(best, (time.perf_counter() - began) / repeats)
    return 2 * 9 * channels**2 * size[0] * size[1] / best / 1e12


def network(name: str) -> TextOVSR:
    """A shipped network, fresh from its file."""
    loaded = load_network(find_weights(name, []))
    assert isinstance(loaded, TextOVSR)
    return loaded


def restored(restorer: TextOVSRRestorer, frames: torch.Tensor) -> Iterator[torch.Tensor]:
    """Frames through the restorer, as one shot."""
    plan = restorer.plan(frames.shape[-2], frames.shape[-1])
    shot = restorer.open_shot(frames.shape[-2], frames.shape[-1], plan)
    for window in slide([PromptedFrame(image) for image in frames], plan):
        yield from shot.restore(window, lambda: None)


def alone(name: str, frames: torch.Tensor, device: torch.device, config: RecurrentConfig, memory: int = 0) -> Measured:
    """The network alone, frames from main memory; the first run warms up."""
    restorer = make_restorer(network(name), config, device, memory or memory_budget(device))
    assert isinstance(restorer, TextOVSRRestorer)
    operations = work(name, (frames.shape[-2], frames.shape[-1]))
    best = float("inf")
    if device.type == "cuda":
        for _ in restored(restorer, frames[: 3 * GPU_WINDOW]):
            pass
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(3 if device.type == "cuda" else 1):
        synchronize(device)
        began = time.perf_counter()
        for _ in restored(restorer, frames):
            pass
        synchronize(device)
        best = min(best, time.perf_counter() - began)
    used = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0
    return Measured(best / len(frames), operations, used)


@cache
def work(name: str, size: tuple[int, int]) -> float:
    """10^12 operations that a frame asks for, counted with the windows and whole frames of much memory, not run."""
    loaded = network(name).to("meta", torch.float16)
    config = RecurrentConfig(window=GPU_WINDOW, look_ahead=LOOK_AHEAD)
    restorer = TextOVSRRestorer(loaded, config, torch.device("meta"), 1 << 40, torch.float16)
    restorer._texts[""] = torch.zeros(1, 77, loaded.config.channels, dtype=torch.float16, device="meta")
    count = 2 * GPU_WINDOW
    with FlopCounterMode(display=False) as counter:
        for _ in restored(restorer, torch.zeros(count, 3, *size)):
            pass
    return counter.get_total_flops() / count / 1e12


@contextmanager
def without(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Some of the measures undone: (where, name, instead)."""
    with ExitStack() as stack:
        for owner, name, value in changes:
            stack.enter_context(patch.object(owner, name, value))
        yield


def measures(config: RecurrentConfig) -> list[tuple[str, RecurrentConfig, list[tuple[Any, str, Any]]]]:
    """What can be switched off or on, each alone."""

    def shuffle_first(layer: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_shuffle(layer.upsample_conv(x), 2)

    def straight(own: Any, image: torch.Tensor) -> torch.Tensor:
        return image.to(own._device)

    class Waiting(lane.Lane):
        def send(self, result: torch.Tensor) -> list[torch.Tensor]:
            return [result.float().cpu()]

    return [
        ("as shipped", config, []),
        ("float32", replace(config, precision="float32"), []),
        ("bfloat16", replace(config, precision="bfloat16"), []),
        ("one frame prepared at a time", config, [(text_ovsr, "GPU_PIXELS", 1)]),
        ("PyTorch's pixel shuffle", config, [(network_module._Upsample, "forward", shuffle_first)]),
        ("every result waited for", config, [(text_ovsr, "Lane", Waiting)]),
        ("uploads from pageable memory", config, [(lane.Lane, "upload", straight)]),
        ("windows of 8", replace(config, window=8), []),
        ("compiled", replace(config, speedup="compile"), []),
        ("CUDA graphs", replace(config, speedup="graphs"), []),
        ("both", replace(config, speedup="both"), []),
    ]


def write_clip(path: Path, frames: torch.Tensor) -> None:
    """A video at 60 frames a second, H.264 at CRF 23."""
    color = ColorTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False)
    spec = VideoSpec(frames.shape[-1], frames.shape[-2], 1 / RATE, RATE, Fraction(1), color)
    with VideoWriter(path, spec, EncodeConfig(crf=23, preset="veryfast")) as writer:
        for index, image in enumerate(frames):
            writer.write(image, index, 1)


def end_to_end(
    name: str, source: Path, device: torch.device, config: RecurrentConfig, encode: EncodeConfig
) -> tuple[float, int]:
    """Seconds a frame of a whole job, the fastest of two, and the frames."""
    best, frames = float("inf"), 0
    for _ in range(2 if device.type == "cuda" else 1):
        restorer = make_restorer(network(name), config, device, memory_budget(device))
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            done = restore_video(Source(source), restorer, Path(folder) / "out.mkv", Job(encode=encode), lambda _: None)
            best, frames = min(best, time.perf_counter() - began), done.frames
    return best / frames, frames


def encoders(device: torch.device) -> list[tuple[str, EncodeConfig]]:
    """Ways to encode that keep up, hardware where there is some."""
    ways = [(f"h264 {preset}", EncodeConfig(preset=preset)) for preset in ("medium", "veryfast", "ultrafast")]
    if device.type == "cuda":
        ways.append(("hevc in hardware", EncodeConfig(codec="hevc", hardware=True)))
    return ways


def attempt(function: Callable[[], Sequence[str]], label: Sequence[str]) -> Sequence[str]:
    """A row, or why there is none."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001  (a table with a gap is worth more than none)
        return [*label, f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"]


def row(label: Sequence[str], found: Measured, bare: float) -> list[str]:
    """Speed, work, memory."""
    reached = found.tflops / found.seconds
    speed = [f"{1 / found.seconds:.2f}", f"{1000 * found.seconds:.1f}", f"{found.tflops:.2f}", f"{reached:.2f}"]
    return [*label, *speed, f"{reached / bare:.0%}", f"{found.memory / 1e9:.2f}"]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1920x1080"])
    parser.add_argument("--nets", nargs="+", default=["textovsr-base", "textovsr-lite"])
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--tables", nargs="+", default=["alone", "measures", "memory", "whole"])
    options = parser.parse_args()
    device = pick_device(options.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()
    print(f"{where}, torch {torch.__version__}\n")
    sizes = [(int(h), int(w)) for w, h in (size.split("x") for size in options.sizes)]
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    config = RecurrentConfig()
    head = ("fps", "ms a frame", "TFLOP a frame", "TFLOP/s", "of the bare convolution", "memory, GB")
    bare = {(c, size): bare_convolution(c, size, device, dtype) for c in (32, 64) for size in sizes}
    table(("bare conv2d 3x3", "TFLOP/s"), [[f"{c} channels, {w}x{h}", f"{v:.2f}"] for (c, (h, w)), v in bare.items()])
    print_networks(options, device, (sizes, bare, head), config)
    if "whole" in options.tables:
        table(("network", "input", "encoder", "fps", "ms a frame"), whole_rows(options, sizes[0], device, config))


def print_networks(options: argparse.Namespace, device: torch.device, known: Any, config: RecurrentConfig) -> None:
    """The network alone: as shipped, each measure, little memory."""
    sizes, bare, head = known
    clips = {size: moving(options.frames if size == sizes[0] else max(options.frames // 4, 2), *size) for size in sizes}

    def measure(label: Sequence[str], name: str, size: tuple[int, int], how: RecurrentConfig, memory: int = 0) -> Any:
        channels = 32 if name.endswith("lite") else 64
        return attempt(lambda: row(label, alone(name, clips[size], device, how, memory), bare[channels, size]), label)

    every = [(name, size) for name in options.nets for size in sizes]
    if "alone" in options.tables:
        rows = [measure([name, f"{size[1]}x{size[0]}"], name, size, config) for name, size in every]
        table(("network", "input", *head), rows)
    if "memory" in options.tables:
        rows = [measure([name, f"{size[1]}x{size[0]}"], name, size, config, 3_400_000_000) for name, size in every]
        table(("network, 3.4 GB beside the weights", "input", *head), rows)
    for name in options.nets if "measures" in options.tables else ():
        rows = []
        for label, how, changes in measures(config):
            with without(*changes):
                rows.append(measure([label], name, sizes[0], how))
        table((f"{name}, {sizes[0][1]}x{sizes[0][0]}", *head), rows)


def whole_rows(
    options: argparse.Namespace, size: tuple[int, int], device: torch.device, config: RecurrentConfig
) -> list[Sequence[str]]:
    """Whole jobs: decoding, restoring, encoding."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "clip.mp4"
        write_clip(source, moving(options.frames, *size))
        for name in options.nets:
            for label, encode in encoders(device):
                head = [name, f"{size[1]}x{size[0]}", label]

                def one(name: str = name, encode: EncodeConfig = encode, head: list[str] = head) -> list[str]:
                    seconds, _ = end_to_end(name, source, device, config, encode)
                    return [*head, f"{1 / seconds:.2f}", f"{1000 * seconds:.1f}"]

                rows.append(attempt(one, head))
    return rows


if __name__ == "__main__":
    main()
