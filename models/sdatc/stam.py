"""SDATC's spatio-temporal attention module: frames of a clip are mixed, pixel by pixel, along time.

``specs/sdatc.md`` section 5; eq. 8 to 10.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .config import StamConfig

_MOST_PIXELS = 32768
"""Pixels attended to at a time: CUDA's kernels take batches below 65536."""


class Stam(nn.Module):
    """F3 = F + a1 (Conv3D(F) - F), then F3 + a2 Attention(F3). Both a begin at 0: a new one changes nothing.

    Args:
        channels: C, a multiple of the heads.
        config: its sizes.
        attention: whether there is any; else F3 is the result.
    """

    def __init__(self, channels: int, config: StamConfig, attention: bool = True) -> None:
        super().__init__()
        side = 3 if config.kernel == "cube" else 1
        self.conv = nn.Conv3d(channels, channels, (3, side, side), padding=(1, side // 2, side // 2))
        shape = (1, channels, 1, 1, 1) if config.alpha == "channel" else (1,)
        self.alpha1 = nn.Parameter(torch.zeros(shape))
        if attention:
            self.alpha2 = nn.Parameter(torch.zeros(shape))
            self.attention = _TimeAttention(channels, config.heads)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(B*T,C,h,w) of clips of T ``frames`` -> (B*T,C,h,w)."""
        clip = _clips(x, frames)
        x = x + _frames(self.alpha1 * (self.conv(clip) - clip))
        if hasattr(self, "attention"):
            x = x + _frames(self.alpha2 * self.attention(_clips(x, frames)))
        return x


def _clips(x: Tensor, frames: int) -> Tensor:
    return rearrange(x, "(b t) c h w -> b c t h w", t=frames)


def _frames(clips: Tensor) -> Tensor:
    return rearrange(clips, "b c t h w -> (b t) c h w")


class _TimeAttention(nn.Module):
    """Every pixel attends to itself in the other frames of its clip."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, clip: Tensor) -> Tensor:
        """(B,C,T,h,w) -> (B,C,T,h,w)."""
        pixels = rearrange(clip, "b c t h w -> (b h w) t c")
        attended = torch.cat([self._attend(some) for some in pixels.split(_MOST_PIXELS)])
        return rearrange(attended, "(b h w) t c -> b c t h w", h=clip.shape[3], w=clip.shape[4])

    def _attend(self, pixels: Tensor) -> Tensor:
        """(P,T,C) -> (P,T,C)."""
        q, k, v = rearrange(self.qkv(self.norm(pixels)), "p t (three m d) -> three p m t d", three=3, m=self.heads)
        return self.out(rearrange(F.scaled_dot_product_attention(q, k, v), "p m t d -> p t (m d)"))
