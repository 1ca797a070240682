"""STAR's CogVideoX golden case, and small networks for its restorer."""

import json
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.star_cog.config import StarCogConfig
from textovsr.core.restorers.star_cog.restorer import StarCogRestorer
from textovsr.core.windows import WindowPlan
from textovsr.models.star_cog.checkpoint import transformer_keys
from textovsr.models.star_cog.config import read_config
from textovsr.tests.helpers.rule import GOLDEN

if TYPE_CHECKING:
    from textovsr.models.star_cog.transformer import StarCogTransformer

ENOUGH = 1 << 34
QUICK = StarCogConfig(steps=1)


@lru_cache(maxsize=1)
def star_cog_golden() -> dict[str, Tensor]:
    """``x``, ``ctx``, ``t`` and ``out``."""
    with np.load(GOLDEN / "star_cog_small.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def published_keys() -> dict[str, list[int]]:
    """Keys and shapes of the published transformer in diffusers' names."""
    return json.loads((GOLDEN / "star_cog_diffusers_manifest.json").read_text("utf-8"))


@lru_cache(maxsize=1)
def sat_weights() -> dict[str, Tensor]:
    """The golden case's weights as a file holds them, made by rule (tests/golden/README.md)."""
    shapes = json.loads((GOLDEN / "star_cog_small_sat_manifest.json").read_text("utf-8"))
    return {key: _weight(key, shape) for key, shape in shapes.items()}


def _weight(key: str, shape: list[int]) -> Tensor:
    x = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(int(np.prod(shape))).reshape(shape)
    if key.endswith("bias"):
        x = 0.05 * x
    elif len(shape) == 1:
        x = 1 + 0.05 * x
    else:
        x = x / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(x.astype(np.float32))


@lru_cache(maxsize=1)
def small_transformer() -> "StarCogTransformer":
    """The network of the golden case."""
    from textovsr.models.star_cog.transformer import StarCogTransformer

    weights = transformer_keys(sat_weights())
    network = StarCogTransformer(read_config(weights))
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=2)
def quick_vae(channels: int = 8, groups: int = 4) -> nn.Module:
    """An autoencoder of few channels, with CogVideoX's steps in space and time; in files there are always 32 groups."""
    from textovsr.models.star_cog.vae import CogVideoXVAE

    widths = (channels,) * 4
    sizes = {"block_out_channels": widths, "layers_per_block": 1, "norm_num_groups": groups, "latent_channels": 16}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CogVideoXVAE(**sizes).eval().requires_grad_(False)


class Words(nn.Module):
    """A text network whose tokens follow the length of the prompt."""

    def forward(self, prompt: str) -> Tensor:
        return torch.randn(10, 48, generator=torch.Generator().manual_seed(len(prompt)))


def embed(network: nn.Module, prompt: str) -> Tensor:
    return network(prompt)


def parts() -> HeldParts:
    networks = {"text": Words(), "denoiser": small_transformer(), "vae": quick_vae()}
    return HeldParts(networks, torch.device("cpu"), torch.float32)


def make(config: StarCogConfig = QUICK, memory: int = ENOUGH) -> StarCogRestorer:
    return StarCogRestorer(parts(), config, memory, embed)


def run(
    frames: Sequence[ShotFrame], restorer: StarCogRestorer, begin: Pause | None = None, plan: WindowPlan | None = None
) -> tuple[list[Tensor], list[Pause], list[str]]:
    """Results, pauses, and what was told."""
    told: list[str] = []
    size = frames[0].image.shape[-2], frames[0].image.shape[-1]
    restoration = Restoration(restorer, plan or restorer.plan(*size), lambda: None, told.append)
    skip = begin.position.in_shot if begin else 0
    items = list(restoration.run(frames[skip:], begin))
    results = [item.image for item in items if isinstance(item, Result)]
    return results, [item for item in items if isinstance(item, Pause)], told
