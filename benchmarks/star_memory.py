"""Memory of STAR at full size, stage by stage: ``python benchmarks/star_memory.py [--size 240 426] [--check]``.

No weights and no GPU are needed: the networks run on the meta device, where what is alive is counted (``live_memory``).
A stage takes its network's weights and what is counted beside them; other networks are elsewhere meanwhile. ``--check``
compares the count with what torch's allocator saw on this CPU, of smaller networks.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from common import machine, table
from live_memory import counted, measured
from torch import Tensor, nn

from textovsr.core.restorers.star.canvas import LATENT, Canvas
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.star.chunks import WHOLE, Chunks
from textovsr.models.star.config import LATENT_CHANNELS, StarNetConfig
from textovsr.models.star.net import StarNet

HALF, SINGLE = torch.float16, torch.float32
SMALL = StarNetConfig(channels=64, head_width=32, first_heads=4, context=64)
SMALL_VAE = SvdVaeConfig((64, 64, 64, 64), 1)


@dataclass(frozen=True)
class Stage:
    """A network at work: ``compute`` is given it and the inputs that ``shapes`` are of."""

    name: str
    build: Callable[[], nn.Module]
    compute: Callable[..., object]
    shapes: Sequence[tuple[int, ...]]
    dtype: torch.dtype

    def on(self, device: str) -> tuple[nn.Module, list[Tensor]]:
        """The network and its inputs."""
        with torch.device("meta"):
            network = self.build()
        network = network.eval().requires_grad_(False).to("meta", self.dtype)  # diffusers makes some numbers elsewhere
        if device != "meta":
            network = network.to_empty(device=device)
            for value in network.parameters():
                value.data.fill_(0.01)
        return network, [torch.ones(shape, device=device, dtype=self.dtype) for shape in self.shapes]

    def count(self) -> tuple[int, int]:
        """Bytes of the weights, and of the most there is beside them."""
        network, inputs = self.on("meta")
        weights = list(network.parameters())
        beside = counted(lambda: self.compute(network, *inputs), [*weights, *inputs])
        held = sum(value.nbytes for value in inputs)
        return sum(value.nbytes for value in weights), held + beside

    def measure(self) -> int:
        """Bytes of the most there is beside the weights, on the CPU."""
        network, inputs = self.on("cpu")
        return sum(value.nbytes for value in inputs) + measured(lambda: self.compute(network, *inputs))


def text_stage(texts: int = 2) -> Stage:
    """Both texts through the tower."""

    def encode(network: nn.Module, _: Tensor) -> None:
        device = next(network.parameters()).device
        network(torch.zeros(texts, OpenClipConfig().tokens, dtype=torch.long, device=device))

    return Stage("text", lambda: OpenClipText(OpenClipConfig()), encode, [(1,)], HALF)


def encode_stage(height: int, width: int, config: SvdVaeConfig | None = None) -> Stage:
    """One frame of that size."""
    name = f"encode a frame of {height}x{width}"
    shapes = [(1, 3, height, width)]
    return Stage(name, lambda: SvdVae(config or SvdVaeConfig()), lambda vae, x: vae.encode(x), shapes, SINGLE)


def decode_stage(frames: int, height: int, width: int, dtype: torch.dtype, config: SvdVaeConfig | None = None) -> Stage:
    """A group of frames, or a tile of them, of that size."""
    name = f"decode {frames} frames, {height}x{width}, {_name(dtype)}"
    shapes = [(frames, LATENT_CHANNELS, height // LATENT, width // LATENT)]
    return Stage(name, lambda: SvdVae(config or SvdVaeConfig()), lambda vae, z: vae.decode(z), shapes, dtype)


def network_stage(
    frames: int, grid: tuple[int, int], chunks: Chunks, dtype: torch.dtype = HALF, config: StarNetConfig | None = None
) -> Stage:
    """One evaluation with one text: those of guidance take turns."""
    config = config or StarNetConfig()
    parts = "at once" if chunks == WHOLE else f"{chunks.spatial / 1e6:.1f} million numbers at a time"
    name = f"denoise {frames} frames, latents {grid[0]}x{grid[1]}, {parts}"
    clip = (1, LATENT_CHANNELS, frames, *grid)

    def denoise(network: nn.Module, x: Tensor, text: Tensor, hint: Tensor) -> None:
        network(x, 500, text, hint, chunks)

    return Stage(name, lambda: StarNet(config), denoise, [clip, (1, 77, config.context), clip], dtype)


def full_size(frame: tuple[int, int]) -> list[Stage]:
    """The stages of a clip whose input has that height and width."""
    canvas = Canvas.of(frame, StarConfig.published())
    height, width = canvas.padded
    windows = [network_stage(frames, canvas.grid, Chunks()) for frames in (8, 16, 24, 32, 40, 72)]
    return [
        text_stage(),
        encode_stage(height, width),
        network_stage(32, canvas.grid, WHOLE),
        network_stage(32, canvas.grid, Chunks(1 << 27, 1 << 27)),
        *windows,
        network_stage(32, canvas.grid, Chunks(1 << 24, 1 << 24)),
        *(decode_stage(frames, height, width, dtype) for frames in (3, 2, 1) for dtype in (SINGLE, HALF)),
        decode_stage(3, height, 1024, SINGLE),
        *(decode_stage(8, side, side, SINGLE) for side in (768, 512)),
    ]


def small() -> list[Stage]:
    """Stages of a CPU's size."""
    chunks = (WHOLE, Chunks(1 << 20, 1 << 20), Chunks(1 << 18, 1 << 18))
    return [
        *(network_stage(8, (34, 40), each, SINGLE, SMALL) for each in chunks),
        encode_stage(128, 192, SMALL_VAE),
        decode_stage(3, 128, 192, SINGLE, SMALL_VAE),
    ]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def main() -> None:
    """Count, and compare if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs=2, type=int, default=(240, 426), help="height and width of the input")
    parser.add_argument("--check", action="store_true", help="compare the count with this CPU's allocator")
    options = parser.parse_args()
    if options.check:
        print(f"{machine()}\n")
        rows = []
        for stage in small():
            found, seen = stage.count()[1], stage.measure()
            rows.append([stage.name, f"{found / 1e6:.2f}", f"{seen / 1e6:.2f}", f"{100 * (found / seen - 1):+.1f} %"])
        table(["stage, of a small network", "counted, MB", "measured, MB", "off by"], rows)
        return
    rows = []
    for stage in full_size((options.size[0], options.size[1])):
        weights, beside = stage.count()
        rows.append([stage.name, f"{weights / 1e9:.2f}", f"{beside / 1e9:.2f}", f"{(weights + beside) / 1e9:.1f}"])
    table(["stage", "weights, GB", "beside them, GB", "together, GB"], rows)


if __name__ == "__main__":
    main()
