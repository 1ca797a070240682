"""The networks of a diffusion system, of which only those at work are on the device."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import nn

TellStep = Callable[[int, int], None]
"""Takes how many steps of a window's sampling are done, and of how many."""


def untold(done: int, total: int) -> None:
    """Tell nobody."""


class Parts(Protocol):
    """Several networks that take turns: text encoder, autoencoder, denoiser."""

    device: torch.device
    dtype: torch.dtype
    """What they compute in; float32 on a CPU."""

    def use(self, *names: str) -> tuple[nn.Module, ...]:
        """Make these ready on the device, in eval mode; others may be moved away until they are asked for."""


class HeldParts:
    """``Parts`` in main memory that come to the device when they are used, and leave it for others.

    Args:
        networks: by name, in eval mode.
        device: where they compute.
        dtype: what they compute in.
        exact: those that compute in float32 whatever the others do.
    """

    def __init__(
        self, networks: Mapping[str, nn.Module], device: torch.device, dtype: torch.dtype, exact: Sequence[str] = ()
    ) -> None:
        self._networks, self.device, self.dtype, self._exact = dict(networks), device, dtype, frozenset(exact)

    def use(self, *names: str) -> tuple[nn.Module, ...]:
        """See ``Parts``."""
        for name, network in self._networks.items():
            if name not in names:
                network.to("cpu")
        types = (torch.float32 if name in self._exact else self.dtype for name in names)
        return tuple(self._networks[name].to(self.device, dtype) for name, dtype in zip(names, types, strict=True))
