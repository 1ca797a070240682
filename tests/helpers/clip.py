"""A CLIP with a ResNet as small as can be, its weights made by rule (tests/golden/README.md), and pictures for it."""

import json
import math
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textovsr.tests.helpers.rule import GOLDEN


@lru_cache(maxsize=1)
def clip_golden() -> dict[str, Any]:
    """``shapes`` of the weights by key, and ``cases``: sizes (n,h,w) of pictures, and what they are worth."""
    return dict(json.loads((GOLDEN / "clip_iqa.json").read_text("utf-8")))


@lru_cache(maxsize=1)
def small_clip() -> dict[str, Tensor]:
    """The weights, all of them but the scale of the logits numbers that fp16 knows."""
    return {key: _weight(key, shape) for key, shape in clip_golden()["shapes"].items()}


def wavy_pictures(count: int, height: int, width: int) -> Tensor:
    """(count,3,height,width) in [0,1]: waves, different in every picture and channel."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    channels = [
        0.5
        + 0.25 * np.sin(x / (5 + 3 * channel + 2 * number) + channel)
        + 0.25 * np.cos(y / (7 + 2 * channel + number) + number)
        for number in range(count)
        for channel in range(3)
    ]
    return torch.from_numpy(np.stack(channels)).float().clamp(0, 1).unflatten(0, (count, 3))


def _weight(key: str, shape: list[int]) -> Tensor:
    if key == "logit_scale":
        return torch.tensor(math.log(100))
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    x = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape).astype(np.float32)
    if key.endswith("running_var"):
        x = 1 + 0.1 * np.abs(x)
    elif key.endswith(("bias", "running_mean")):
        x = 0.02 * x
    elif len(shape) == 1:
        x = 1 + 0.1 * x
    elif "embedding" in key:
        x = x * (0.03 if key.startswith("token") else 0.5)
    elif key == "text_projection":
        x = x / np.sqrt(shape[0])
    else:
        x = x / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(x, np.float16)).float()
