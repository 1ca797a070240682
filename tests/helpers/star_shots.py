"""STAR's restorer with networks as small as can be, and clips for it."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.restorers.star.restorer import StarRestorer
from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
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


class WatchedParts(HeldParts):
    """Parts that are asked, by name and how often so far, whether they may be used."""

    def __init__(self, allow: Callable[[str, int], None] = lambda name, count: None) -> None:
        super().__init__(tiny_networks(), torch.device("cpu"), torch.float32)
        self.used: list[str] = []
        self._allow = allow

    def use(self, *names: str) -> tuple[nn.Module, ...]:
        for name in names:
            self.used.append(name)
            self._allow(name, self.used.count(name))
        return super().use(*names)


def make(config: StarConfig = QUICK, memory: int = ENOUGH, parts: HeldParts | None = None) -> StarRestorer:
    return StarRestorer(parts or WatchedParts(), config, memory)


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
    plan = restorer.plan(frames[0].image.shape[-2], frames[0].image.shape[-1])
    skip = begin.position.in_shot if begin else 0
    return Restoration(restorer, plan, check, tell).run(frames[skip:], begin)


def images(items: Sequence[Result | Pause], first: int = 0) -> Tensor:
    """The frames that came out, (T,3,H,W), every one in its place."""
    found = [item for item in items if isinstance(item, Result)]
    assert [item.frame.pts for item in found] == list(range(first, first + len(found)))
    return torch.stack([item.image for item in found])


def run(frames: Sequence[ShotFrame], config: StarConfig = QUICK) -> Tensor:
    """All frames in one go."""
    return images(list(start(frames, make(config))))
