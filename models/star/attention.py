"""Attention inside frames and along time, whose input is gated where there is local detail (STAR, section 3.2)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..feed_forward import FeedForward
from ..mgld.attention import Attention
from .blocks import Run, clip_scaling
from .config import GROUPS, StarNetConfig


class SpatialGate(nn.Module):
    """A weight from 0 to 1 for each place, of the largest and the mean channel around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,h,w)."""
        found = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return x * self.conv1(found).sigmoid_()


class TokenGate(nn.Module):
    """A weight from 0 to 1 for each token, of its largest and its mean channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Linear(2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,L,C) -> (N,L,C)."""
        found = torch.cat([x.amax(dim=-1, keepdim=True), x.mean(dim=-1, keepdim=True)], dim=-1)
        return x * self.conv1(found).sigmoid_()


class _Block(nn.Module):
    def __init__(self, channels: int, context: int, head_width: int) -> None:
        super().__init__()
        self.attn1 = Attention(channels, channels, head_width)
        self.ff = FeedForward(channels)
        self.attn2 = Attention(channels, context, head_width)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)


class SpatialBlock(_Block):
    """Attention of a frame's places to each other, gated, and to the text."""

    def __init__(self, channels: int, context: int, head_width: int) -> None:
        super().__init__(channels, context, head_width)
        self.local1 = SpatialGate()

    def forward(self, x: Tensor, text: Tensor, height: int) -> Tensor:
        """(N,h*w,C), (N,K,D), h -> (N,h*w,C), over ``x``."""
        gated = rearrange(self.local1(rearrange(x, "n (h w) c -> n c h w", h=height)), "n c h w -> n (h w) c")
        x += self.attn1(self.norm1(gated))
        del gated
        x += self.attn2(self.norm2(x), text)
        x += self.ff(self.norm3(x))
        return x


class TemporalBlock(_Block):
    """Attention of a place's frames to each other, twice, gated each time."""

    def __init__(self, channels: int, head_width: int) -> None:
        super().__init__(channels, channels, head_width)
        self.local1 = TokenGate()
        self.local2 = TokenGate()

    def forward(self, x: Tensor) -> Tensor:
        """(N,F,C) -> (N,F,C), over ``x``."""
        x += self.attn1(self.norm1(self.local1(x)))
        x += self.attn2(self.norm2(self.local2(x)))
        x += self.ff(self.norm3(x))
        return x


class SpatialTransformer(nn.Module):
    """Attention inside frames."""

    def __init__(self, channels: int, config: StarNetConfig) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([SpatialBlock(channels, config.context, config.head_width)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        """(F,C,h,w) -> (F,C,h,w), over ``x``."""
        for part in run.chunks.frames(x):
            tokens = self.proj_in(rearrange(self.norm(x[part]), "n c h w -> n (h w) c"))
            for block in self.transformer_blocks:
                tokens = block(tokens, run.text.expand(len(tokens), -1, -1), x.shape[2])
            x[part] += rearrange(self.proj_out(tokens), "n (h w) c -> n c h w", h=x.shape[2])
        return x


class TemporalTransformer(nn.Module):
    """Attention along time; ``inner`` is its width if it is not that of the clip."""

    def __init__(self, channels: int, config: StarNetConfig, inner: int = 0) -> None:
        super().__init__()
        inner = inner or channels
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Conv1d(channels, inner, 1)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(inner, config.head_width)])
        self.proj_out = nn.Conv1d(inner, channels, 1)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        """(F,C,h,w) -> (F,C,h,w), over ``x``."""
        scale, shift = (value[..., 0] for value in clip_scaling(self.norm, x, run.chunks))
        places = x.view(*x.shape[:2], -1)
        for part in run.chunks.places(x):
            normalised = (places[..., part] * scale).add_(shift).to(x.dtype)
            tokens = _linear(self.proj_in, rearrange(normalised, "f c n -> n f c"))
            del normalised
            for block in self.transformer_blocks:
                tokens = block(tokens)
            places[..., part] += rearrange(_linear(self.proj_out, tokens), "n f c -> f c n")
        return x


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolution of one token, as the linear layer that it is."""
    assert isinstance(layer, nn.Conv1d)
    return F.linear(x, layer.weight[..., 0], layer.bias)
