"""The gated feed-forward layers of diffusers' transformers, with the names of their checkpoints."""

import torch.nn.functional as F
from torch import Tensor, nn


class _GEGLU(nn.Module):
    """A linear layer whose one half gates the other (Shazeer, 2020, eq. 6)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """Two layers with a gate, four times as wide between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The second one is dropout while diffusers trains; its place counts in the names.
        self.net = nn.Sequential(_GEGLU(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N,L,C) -> (N,L,C)."""
        return self.net(x)
