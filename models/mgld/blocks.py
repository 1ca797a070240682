"""What the denoiser and the structure encoder are made of: residual blocks, resizing, the time embedding."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 32
"""Channels are normalised in this many groups."""

_MODULATION = 128
"""Width between the structure's features and the two maps made of them."""


def time_layers(channels: int, outputs: int) -> nn.Sequential:
    """What makes the time embedding of ``time_waves``."""
    return nn.Sequential(nn.Linear(channels, outputs), nn.SiLU(), nn.Linear(outputs, outputs))


def time_waves(timesteps: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Timesteps (N,), 0 to 999, as cosines, then sines, (N,channels), of frequencies from 1 down to 1/10000."""
    half = channels // 2
    steps = torch.arange(half, device=timesteps.device, dtype=torch.float32)
    angles = timesteps.float()[:, None] * torch.exp(-math.log(10000.0) * steps / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(dtype)


def blocks(modules: nn.ModuleList) -> list[nn.ModuleList]:
    """The same as what it is: a list of lists of layers that run after each other."""
    return cast("list[nn.ModuleList]", list(modules))


class Spade(nn.Module):
    """Normalisation whose scale and shift at each place come from the structure (Park et al., CVPR 2019, eq. 1)."""

    def __init__(self, channels: int, structure: int) -> None:
        super().__init__()
        self.param_free_norm = nn.GroupNorm(GROUPS, channels)
        self.mlp_shared = nn.Sequential(nn.Conv2d(structure, _MODULATION, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(_MODULATION, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(_MODULATION, channels, 3, padding=1)

    def forward(self, x: Tensor, structure: Tensor) -> Tensor:
        """(N,C,h,w), (N,S,h,w) -> (N,C,h,w)."""
        shared = self.mlp_shared(structure)
        return self.param_free_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


class ResBlock(nn.Module):
    """Two convolutions around the time embedding; with ``structure``, its features modulate the result."""

    def __init__(self, inputs: int, outputs: int, embedding: int, structure: int = 0) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, outputs), nn.SiLU(), nn.Identity(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.spade = Spade(outputs, structure) if structure else None

    def forward(self, x: Tensor, embedding: Tensor, structure: Tensor | None = None) -> Tensor:
        """(N,C,h,w), (N,E), (N,S,h,w) -> (N,C',h,w)."""
        h = self.out_layers(self.in_layers(x) + self.emb_layers(embedding)[..., None, None])
        if self.spade is not None:
            h = self.spade(h, structure)
        return self.skip_connection(x) + h


class Downsample(nn.Module):
    """Half the size, rounded up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,ceil(h/2),ceil(w/2))."""
        return self.op(x)


class Upsample(nn.Module):
    """Twice the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,2h,2w)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
