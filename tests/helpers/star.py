"""STAR's golden tensors, and small networks whose weights are made from their keys as tests/golden/README.md says."""

import json
import zlib
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from textovsr.models.star.config import StarNetConfig
from textovsr.models.star.net import StarNet
from textovsr.tests.helpers.rule import GOLDEN

SMALL = StarNetConfig(channels=64, head_width=32, first_heads=4)
"""Of the golden cases."""

TINY = StarNetConfig(channels=64, multipliers=(1, 1), blocks=1, head_width=32, first_heads=3, context=48)
"""As small as can be, for latents of an even width and height.

With 32 channels every one would be normalised alone, and what a timestep adds to it would be gone.
"""

Network = TypeVar("Network", bound=nn.Module)


@lru_cache(maxsize=1)
def star_golden() -> dict[str, Tensor]:
    """All tensors of the network's file."""
    with np.load(GOLDEN / "star_i2vgen_small.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def published_keys() -> dict[str, list[int]]:
    """Keys and shapes of the published denoiser and control network."""
    return json.loads((GOLDEN / "star_i2vgen_manifest.json").read_text("utf-8"))


def by_rule(network: Network, prefix: str = "") -> Network:
    """Give a network the weights of the rule, ready to run; ``prefix`` stands before its keys."""
    weights = {key: rule_weight(prefix + key, value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def rule_weight(key: str, shape: torch.Size) -> Tensor:
    """The weight of a key."""
    x = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape.numel()).reshape(shape)
    if key.endswith("bias"):
        x = 0.05 * x
    elif len(shape) == 1:
        x = 1 + 0.05 * x
    else:
        x = x / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(x, np.float32))


@lru_cache(maxsize=1)
def small_star() -> StarNet:
    """The network of the golden case."""
    with torch.device("meta"):
        network = StarNet(SMALL)
    return by_rule(network)


@lru_cache(maxsize=1)
def tiny_star() -> StarNet:
    """A network that takes no time."""
    return by_rule(StarNet(TINY))
