"""STAR's restorer with networks as small as can be or with toys, and clips for it."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textovsr.core.journal import Pause
from textovsr.core.restoration import Result, ShotFrame
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.restorers.star.restorer import StarRestorer
from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.star.chunks import Chunks
from textovsr.tests.helpers.shots import WatchedParts, images, restored
from textovsr.tests.helpers.star import TINY, by_rule, tiny_star

ENOUGH = 1 << 36
QUICK = StarConfig(steps=3, span=6, window=6, overlap=2, context=1, group=3)
TINY_TEXT = OpenClipConfig(width=TINY.context, layers=1, heads=3, hidden=48)


def make_vae() -> SvdVae:
    """The autoencoder at a two-hundredth of its size, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SvdVae(SvdVaeConfig(block_out_channels=(32,) * 4, layers_per_block=1))
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def tiny_networks() -> dict[str, nn.Module]:
    """All networks of the system."""
    return {"text": by_rule(OpenClipText(TINY_TEXT)), "vae": make_vae(), "denoiser": tiny_star()}


class ToyDenoiser(nn.Module):
    """The velocity of the golden runs, which each place takes a little of from those around it, and before and after.

    Args:
        mixing: how much; the golden runs take nothing.
    """

    def __init__(self, mixing: float = 0.2) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.tensor(mixing), requires_grad=False)

    def forward(self, x: Tensor, timestep: int, text: Tensor, hint: Tensor, chunks: Chunks) -> Tensor:
        """(1,4,F,h,w), t, (1,K,D), (1,4,F,h,w), ... -> (1,4,F,h,w)."""
        self.chunks = chunks
        velocity = 0.6 * x - 0.3 * hint + text.mean() * torch.tanh(x + hint)
        rim = F.pad(_along_time(velocity, 2).float(), (1, 1, 1, 1, 0, 0), mode="replicate")
        return torch.lerp(velocity, F.avg_pool3d(rim, (1, 3, 3), stride=1).to(x), float(self.mixing))


class ToyVae(nn.Module):
    """Means of 8x8 pixels, and back, each frame a little like its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.deviation = nn.Parameter(torch.tensor(-3.0), requires_grad=False)

    def encode(self, frames: Tensor) -> Tensor:
        """(N,3,8h,8w) -> (N,8,h,w)."""
        mean = F.avg_pool2d(frames, 8)
        mean = torch.cat([mean, mean.mean(dim=1, keepdim=True)], dim=1)
        return torch.cat([mean, self.deviation.expand_as(mean)], dim=1)

    def decode(self, latents: Tensor) -> Tensor:
        """(T,4,h,w) -> (T,3,8h,8w)."""
        return F.interpolate(_along_time(latents, 0)[:, :3], scale_factor=8.0, mode="bilinear")


class ToyText(nn.Module):
    """Words of one number that follows their length."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.7), requires_grad=False)
        self.asked: list[str] = []


def toy_embed(network: Any, prompts: Sequence[str]) -> Tensor:
    """(B,1,1)."""
    network.asked += prompts
    return torch.tensor([[[float(network.gain) * (0.3 + len(prompt) % 100 / 100)]] for prompt in prompts])


@lru_cache(maxsize=1)
def toy_networks() -> dict[str, nn.Module]:
    """What behaves like the networks of the system, and takes no time."""
    return {"text": ToyText(), "vae": ToyVae(), "denoiser": ToyDenoiser()}


def make_toy(config: StarConfig = QUICK, parts: HeldParts | None = None, memory: int = ENOUGH) -> StarRestorer:
    """A restorer of toys."""
    return StarRestorer(parts or WatchedParts(toy_networks()), config, memory, toy_embed)


def make(config: StarConfig = QUICK) -> StarRestorer:
    """A restorer of networks as they are, at a small size."""
    return StarRestorer(WatchedParts(tiny_networks()), config, ENOUGH)


def clip(count: int, height: int = 16, width: int = 16, prompt: str = "") -> list[ShotFrame]:
    """A soft picture that moves by a pixel a frame."""
    noise = torch.rand(1, 3, height // 4, (width + count) // 4 + 1, generator=torch.Generator().manual_seed(7))
    wide = F.interpolate(noise, size=(height, width + count), mode="bilinear")[0]
    return [ShotFrame(wide[:, :, i : i + width].contiguous(), prompt, pts=i) for i in range(count)]


def start(
    frames: Sequence[ShotFrame],
    restorer: StarRestorer,
    begin: Pause | None = None,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Result | Pause]:
    """Restore frames, from where an earlier run paused on."""
    skip = begin.position.in_shot if begin else 0
    return restored(restorer, frames[skip:], begin, check, tell)


def run(frames: Sequence[ShotFrame], config: StarConfig = QUICK) -> Tensor:
    """All frames in one go, by toys."""
    return images(list(start(frames, make_toy(config))))


def _along_time(x: Tensor, dim: int) -> Tensor:
    """Means of a frame and those beside it; the first and the last are beside themselves."""
    padded = torch.cat([x.narrow(dim, 0, 1), x, x.narrow(dim, -1, 1)], dim=dim)
    return padded.unfold(dim, 3, 1).mean(dim=-1)
