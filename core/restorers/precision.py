"""Networks in half precision where half is not enough."""

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def is_single(network: nn.Module) -> bool:
    """Whether all parameters are float32."""
    return all(value.dtype == torch.float32 for value in network.parameters())


def in_single_precision(network: Network) -> Network:
    """The network itself if it is in single precision, else a copy: it belongs to others, who know its precision."""
    return network if is_single(network) else copy.deepcopy(network).float()
