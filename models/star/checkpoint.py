"""STAR's published files, ``light_deg.pt`` and ``heavy_deg.pt``: one network of the size that its weights have."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .config import StarNetConfig
from .net import StarNet

KEYS = (
    "VideoControlNet.input_hint_block.weight",
    "input_blocks.0.1.transformer_blocks.0.local1.conv1.weight",
    "input_blocks.1.0.temopral_conv.conv1.2.weight",
)
"""What a file of the network holds, and no other."""


def build_net(state_dict: Mapping[str, Tensor]) -> StarNet:
    """A network of the size that these weights have, itself without memory, on the meta device.

    Raises:
        LookupError: a tensor that tells a size is missing.
        ValueError: there are no residual blocks.
    """
    with torch.device("meta"):
        return StarNet(StarNetConfig.from_state(state_dict))
