"""Attention over a frame, over its text, and over time."""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..feed_forward import FeedForward
from .blocks import GROUPS


class Attention(nn.Module):
    """Multi-head attention of tokens (N,L,C) to a context (N,K,D), by default to themselves."""

    def __init__(self, channels: int, context: int, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N,L,C), (N,K,D) -> (N,L,C)."""
        context = x if context is None else context
        tensors = (self.to_q(x), self.to_k(context), self.to_v(context))
        q, k, v = (rearrange(t, "n l (heads d) -> n heads l d", d=self.head_width) for t in tensors)
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.to_out[0](rearrange(attended, "n heads l d -> n l (heads d)"))


class _TransformerBlock(nn.Module):
    def __init__(self, channels: int, context: int, head_width: int) -> None:
        super().__init__()
        self.attn1 = Attention(channels, channels, head_width)
        self.ff = FeedForward(channels)
        self.attn2 = Attention(channels, context, head_width)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """Attention of a frame's places to each other and to the text."""

    def __init__(self, channels: int, context: int, head_width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([_TransformerBlock(channels, context, head_width)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(N,C,h,w), (N,K,D) -> (N,C,h,w)."""
        tokens = self.proj_in(rearrange(self.norm(x), "n c h w -> n (h w) c"))
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        return x + rearrange(self.proj_out(tokens), "n (h w) c -> n c h w", h=x.shape[2])


class PlaceAttention(nn.Module):
    """Attention of a frame's places to each other; its qkv holds q, k and v of each head in turn."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,h,w)."""
        qkv = self.qkv(self.norm(x).flatten(2))
        q, k, v = rearrange(qkv, "n (heads three d) l -> three n heads l d", heads=self.heads, three=3)
        attended = rearrange(F.scaled_dot_product_attention(q, k, v), "n heads l d -> n (heads d) l")
        return x + self.proj_out(attended).view_as(x)
