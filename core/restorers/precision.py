"""Networks in half precision where half is not enough."""

import copy
from typing import TypeVar

import torch
from torch import nn

from ..config import Precision
from ..errors import SettingError

Network = TypeVar("Network", bound=nn.Module)


def is_single(network: nn.Module) -> bool:
    """Whether all parameters are float32."""
    return all(value.dtype == torch.float32 for value in network.parameters())


def in_single_precision(network: Network) -> Network:
    """The network itself if it is in single precision, else a copy: it belongs to others, who know its precision."""
    return network if is_single(network) else copy.deepcopy(network).float()


def pick_dtype(precision: Precision, automatic: torch.dtype) -> torch.dtype:
    """What to compute in.

    Args:
        precision: what was asked for.
        automatic: what ``auto`` means on the device.

    Raises:
        SettingError: there is no such precision.
    """
    types = {
        "auto": automatic,
        "float32": torch.float32,
        "float16": torch.float16,
        "bfloat16": torch.bfloat16,
    }
    if precision not in types:
        raise SettingError(f"Expected a precision out of {', '.join(types)}, got {precision!r}; choose auto.")
    return types[precision]
