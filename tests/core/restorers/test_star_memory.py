"""STAR's tiles fit the memory that they were chosen for, counted at the published size on the meta device."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from textovsr.benchmarks.live_memory import counted
from textovsr.core.restorers.star.canvas import LATENT, Canvas, latent_tiling
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.restorers.star.memory import plan_chunks, plan_tiles
from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.models.star.net import StarNet

WIDE = Canvas.of((540, 960), StarConfig())


def meta(*shape: int, dtype: torch.dtype = torch.float16) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def there(network: nn.Module, *inputs: Tensor) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from inputs


def test_a_tile_of_the_denoiser_fits() -> None:
    config, memory = StarConfig(span=8, window=8, overlap=2), 4 << 30
    with torch.device("meta"):
        network = StarNet().half().eval().requires_grad_(False)
    side = WIDE.tile_side(plan_tiles(WIDE, config, memory, torch.float16)[0])
    rows, columns = next(latent_tiling(side).places(*WIDE.grid))
    size = config.span, rows.stop - rows.start, columns.stop - columns.start
    x, hint, text = meta(1, 4, *size), meta(1, 4, *size), meta(1, 77, 1024)
    chunks = plan_chunks(memory, torch.float16)
    held = counted(lambda: network(x, 500, text, hint, chunks), there(network, x, hint, text))
    assert 0.4 * memory < held < 0.9 * memory, held / memory


def test_a_tile_of_the_autoencoder_fits() -> None:
    """Counted in single precision: what half precision is asked for keeps some of it."""
    with torch.device("meta"):
        network = SvdVae(SvdVaeConfig()).eval().requires_grad_(False)
    network.to("meta")  # diffusers makes some parameters in memory all the same
    config, memory = StarConfig(), 10 << 30
    side = WIDE.tile_side(plan_tiles(WIDE, config, memory, torch.float16)[1])
    latents = meta(config.group + 2 * config.context, 4, side // LATENT, side // LATENT, dtype=torch.float32)
    pixels = meta(1, 3, 2 * side, 2 * side, dtype=torch.float32)
    held = [counted(lambda: network.decode(latents), there(network, latents))]
    held.append(counted(lambda: network.encode(pixels), there(network, pixels)))
    assert 0.4 * memory < max(held) < 0.9 * memory, [amount / memory for amount in held]
