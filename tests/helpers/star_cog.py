"""STAR's CogVideoX golden case, and small networks for its restorer."""

import json
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from textovsr.models.star_cog.checkpoint import transformer_keys
from textovsr.models.star_cog.config import read_config
from textovsr.tests.helpers.rule import GOLDEN

if TYPE_CHECKING:
    from textovsr.models.star_cog.transformer import StarCogTransformer


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
