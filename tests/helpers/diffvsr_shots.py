"""DiffVSR's restorer with the small networks of the golden cases, and clips for it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorers.diffvsr.config import DiffVsrConfig
from textovsr.core.restorers.diffvsr.restorer import DiffVsrRestorer
from textovsr.core.restorers.parts import HeldParts
from textovsr.tests.helpers.diffvsr import quick_vae, small_unet

ENOUGH = 1 << 34
QUICK = DiffVsrConfig(steps=1, decoder="same")


class Words(nn.Module):
    """A text network whose tokens follow the length of the prompt."""

    def forward(self, prompts: Sequence[str]) -> Tensor:
        generators = [torch.Generator().manual_seed(len(prompt)) for prompt in prompts]
        return torch.stack([torch.randn(7, 32, generator=generator) for generator in generators])


def embed(network: nn.Module, prompts: Sequence[str]) -> Tensor:
    return network(prompts)


def parts(vae: nn.Module | None = None) -> HeldParts:
    networks = {"text": Words(), "denoiser": small_unet(), "vae": vae or quick_vae()}
    return HeldParts(networks, torch.device("cpu"), torch.float32)


def make(config: DiffVsrConfig = QUICK, memory: int = ENOUGH) -> DiffVsrRestorer:
    return DiffVsrRestorer(parts(), config, memory, embed)


def clip(frames: int, height: int = 16, width: int = 24) -> list[ShotFrame]:
    """A picture that moves by a pixel a frame."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(1, 3, height // 4, (width + frames) // 4 + 1, generator=generator)
    wide = F.interpolate(coarse, size=(height, width + frames), mode="bilinear")[0]
    return [ShotFrame(wide[:, :, i : i + width].contiguous()) for i in range(frames)]


def run(
    frames: Sequence[ShotFrame], restorer: DiffVsrRestorer, begin: Pause | None = None
) -> tuple[list[Tensor], list[Pause], list[str]]:
    told: list[str] = []
    size = frames[0].image.shape[-2], frames[0].image.shape[-1]
    restoration = Restoration(restorer, restorer.plan(*size), lambda: None, told.append)
    skip = begin.position.in_shot if begin else 0
    items = list(restoration.run(frames[skip:], begin))
    results = [item.image for item in items if isinstance(item, Result)]
    return results, [item for item in items if isinstance(item, Pause)], told
