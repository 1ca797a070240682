"""SDATC's compression-aware prompt module: learnt pictures, weighed by what the features say, lead the features.

``specs/sdatc.md`` section 4; eq. 6 and 7, with the transformer block of Restormer (Zamir et al., CVPR 2022).
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .config import CapmConfig

_SLOPE = 0.1


class Capm(nn.Module):
    """F' = F + Conv1x1(Block([F ; P])), with P = Conv3x3(Up(sum_l w_l P_l)) and w = Linear(mean(CNN(F))).

    No softmax is over the weights, which the paper found to be worse. The last convolution begins with zeros: a new one
    changes nothing.
    """

    def __init__(self, channels: int, config: CapmConfig) -> None:
        super().__init__()
        hidden, inputs = config.hidden, channels + config.channels
        self.describe = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(hidden, hidden, 3, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.AdaptiveAvgPool2d(1),
        )
        self.weigh = nn.Linear(hidden, config.prompts)
        self.prompts = nn.Parameter(torch.rand(config.prompts, config.channels, config.side, config.side))
        self.refine = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        width = config.width or inputs
        self.narrow = nn.Conv2d(inputs, width, 1) if config.width else nn.Identity()
        self.block = _TransformerBlock(width, config.heads, config.expansion)
        self.out = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w), of any size -> (N,C,h,w)."""
        weights = self.weigh(self.describe(x).flatten(1))
        prompt = torch.einsum("nl,lchw->nchw", weights, self.prompts)
        prompt = F.interpolate(prompt, size=x.shape[-2:], mode="bilinear", align_corners=False)
        both = torch.cat([x, self.refine(prompt)], dim=1)
        return x + self.out(self.block(self.narrow(both)))


class _TransformerBlock(nn.Module):
    """Attention of channels to each other, whose cost is linear in the pixels, and a gated feed-forward layer."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = _LayerNorm(channels), _LayerNorm(channels)
        self.attention = _ChannelAttention(channels, heads)
        self.feed_forward = _GatedConv(channels, int(channels * expansion))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class _LayerNorm(nn.LayerNorm):
    """Over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (N,C,h,w) -> (N,h,w,C) and back


class _ChannelAttention(nn.Module):
    """Multi-Dconv head transposed attention (MDTA)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.local = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(self.local(self.qkv(x)), "n (three m c) h w -> three n m c (h w)", three=3, m=self.heads)
        # A sum over all pixels of a frame is beyond what half precision can hold.
        q, k = F.normalize(q.float(), dim=-1), F.normalize(k.float(), dim=-1)
        attention = (q @ k.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        return self.out(rearrange(attention.to(v.dtype) @ v, "n m c (h w) -> n (m c) h w", h=x.shape[2]))


class _GatedConv(nn.Module):
    """Gated-Dconv feed-forward network (GDFN)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.into = nn.Conv2d(channels, 2 * hidden, 1)
        self.local = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.out = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.local(self.into(x)).chunk(2, dim=1)
        return self.out(F.gelu(gate) * value)
