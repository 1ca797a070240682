"""The layers that see several frames at once, mixed in by a learnt share."""

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import Attention


class TemporalConv(nn.Module):
    """A convolution over three frames at each place: a * conv(x) + (1 - a) * x, zeros beyond the clip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.temporal_conv = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.temporal_alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(B*T,C,h,w) -> (B*T,C,h,w), T = ``frames``."""
        mixed = self.temporal_conv(rearrange(x, "(b t) c h w -> b c t h w", t=frames))
        return torch.lerp(x, rearrange(mixed, "b c t h w -> (b t) c h w"), self.temporal_alpha)


class TemporalAttention(nn.Module):
    """Attention of a place to itself in all frames: a * attention(norm(x)) + (1 - a) * x; it knows no order."""

    def __init__(self, channels: int, head_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.temporal_attn = Attention(channels, channels, head_width)
        self.temporal_alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(B*T,C,h,w) -> (B*T,C,h,w), T = ``frames``."""
        tokens = rearrange(x, "(b t) c h w -> (b h w) t c", t=frames)
        attended = self.temporal_attn(self.norm(tokens))
        mixed = rearrange(attended, "(b h w) t c -> (b t) c h w", h=x.shape[2], w=x.shape[3])
        return torch.lerp(x, mixed, self.temporal_alpha)
