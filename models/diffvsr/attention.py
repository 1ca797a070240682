"""Attention of the denoiser: in a frame, to the text, and along time at two scales."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..feed_forward import FeedForward
from .config import GROUPS, UNetConfig
from .layers import TimeConv, activated, each_frame

_ROTARY = 32
"""Channels of a head that are turned by the position, at most."""

_NEAR, _FAR, _BUCKETS = 8, 32, 16
"""Distances up to the first have an offset of their own, those beyond the second share one; buckets a direction."""

_SMALL_SHARE = 0.5
"""Of what attention along time finds at half the size."""

_ROWS = 16384
"""Places that attend along time at once: kernels take no more than 65535, and memory stays bounded."""

_TOKENS = 1 << 16
"""Tokens that go through a feed-forward layer at once, whose middle is eight times as wide."""


class Attention(nn.Module):
    """Multi-head attention of tokens (N,L,C) to a context (N,K,D), by default to themselves."""

    def __init__(self, channels: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N,L,C), (N,K,D) -> (N,L,C)."""
        q, k, v = self.project(x, x if context is None else context)
        return self.join(F.scaled_dot_product_attention(q, k, v))

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (N,heads,L or K,C/heads)."""
        tensors = (self.to_q(x), self.to_k(context), self.to_v(context))
        q, k, v = (rearrange(t, "n l (heads d) -> n heads l d", heads=self.heads) for t in tensors)
        return q, k, v

    def join(self, attended: Tensor) -> Tensor:
        """What the heads found, (N,heads,L,C/heads) -> (N,L,C)."""
        return self.to_out[0](rearrange(attended, "n heads l d -> n l (heads d)"))


class _RelativeBias(nn.Module):
    """An offset for each distance in time and head (T5: Raffel et al., JMLR 2020, section 2.1)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(2 * _BUCKETS, heads)

    def forward(self, length: int) -> Tensor:
        """(heads,length,length): of a query's row and a key's column."""
        positions = torch.arange(length, device=self.relative_attention_bias.weight.device)
        distance = positions[:, None] - positions[None, :]
        return self.relative_attention_bias(_bucket(distance)).permute(2, 0, 1)


def _bucket(distance: Tensor) -> Tensor:
    """Number of the offset for query minus key: the near ones exactly, the far ones by their logarithm."""
    size = distance.abs()
    scaled = torch.log(size.clamp_min(1).float() / _NEAR) / math.log(_FAR / _NEAR) * (_BUCKETS - _NEAR)
    far = (_NEAR + scaled.long()).clamp_max(_BUCKETS - 1)
    return (distance < 0) * _BUCKETS + torch.where(size < _NEAR, size, far)


class TemporalAttention(Attention):
    """Attention along time, aware of distances: turned queries and keys, and an offset by distance."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, channels, heads)
        self.time_rel_pos_bias = _RelativeBias(heads)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N,T,C) -> (N,T,C); a context is not taken."""
        bias = self.time_rel_pos_bias(x.shape[1]).to(x.dtype)
        turn = _rotation(x.shape[1], min(_ROTARY, x.shape[2] // self.heads), x.device)
        return torch.cat([self._attend(rows, bias, turn) for rows in x.split(_ROWS)])

    def _attend(self, x: Tensor, bias: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        q, k, v = self.project(x, x)
        q, k = _turned(q, turn), _turned(k, turn)
        return self.join(F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(len(x), -1, -1, -1)))


def _rotation(length: int, channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines (length,channels/2) of position times frequency (RoFormer: Su et al., 2021, eq. 15)."""
    powers = torch.arange(0, channels, 2, device=device, dtype=torch.float32) / channels
    angles = torch.arange(length, device=device, dtype=torch.float32)[:, None] / 10000.0**powers
    return angles.cos(), angles.sin()


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first channels of (N,heads,T,d), in pairs of neighbours."""
    cosine, sine = (part.to(x.dtype) for part in turn)
    channels = 2 * cosine.shape[1]
    even, odd = x[..., 0:channels:2], x[..., 1:channels:2]
    turned = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)
    return torch.cat([turned, x[..., channels:]], dim=-1)


class TransformerBlock(nn.Module):
    """Attention in a frame (or to the text), to the text, and along time at full and at half size."""

    def __init__(self, channels: int, config: UNetConfig, text_only: bool) -> None:
        super().__init__()
        self.text_only = text_only
        self.attn1 = Attention(channels, config.context if text_only else channels, config.heads)
        self.norm1 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, config.context, config.heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn_temporal = TemporalAttention(channels, config.heads)
        self.norm_temporal = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)
        self.norm3 = nn.LayerNorm(channels)
        self.attn_temporal_small = TemporalAttention(channels, config.heads)
        self.temporal_down_conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.temporal_up_conv = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)
        self.norm_temporal_small = nn.LayerNorm(channels)

    def forward(self, x: Tensor, context: Tensor, frames: int, size: torch.Size) -> Tensor:
        """(B*T,h*w,C), (B*T,K,D), T, (h,w) -> (B*T,h*w,C)."""
        x = x + self.attn1(self.norm1(x), context if self.text_only else None)
        x = x + self.attn2(self.norm2(x), context)
        x = self._along_time(x, frames, size)
        frames_at_once = max(_TOKENS // x.shape[1], 1)
        return torch.cat([part + self.ff(self.norm3(part)) for part in x.split(frames_at_once)])

    def _along_time(self, x: Tensor, frames: int, size: torch.Size) -> Tensor:
        """Multi-scale temporal attention (section 3.2): h + attention(h) + up(small attention(down(h))) / 2."""
        small = self.temporal_down_conv(rearrange(x, "n (h w) c -> n c h w", h=size[0]))
        small_size = small.shape[-2:]
        small = rearrange(small, "n c h w -> n (h w) c")
        small = small + _over_time(self.attn_temporal_small, self.norm_temporal_small(small), frames)
        small = self.temporal_up_conv(rearrange(small, "n (h w) c -> n c h w", h=small_size[0]))
        if small.shape[-2:] != size:
            small = F.interpolate(small, size=size, mode="bilinear", align_corners=False)
        x = x + _over_time(self.attn_temporal, self.norm_temporal(x), frames)
        return x + _SMALL_SHARE * rearrange(small, "n c h w -> n (h w) c")


def _over_time(attention: TemporalAttention, x: Tensor, frames: int) -> Tensor:
    places = attention(rearrange(x, "(b t) l c -> (b l) t c", t=frames))
    return rearrange(places, "(b l) t c -> (b t) l c", l=x.shape[1])


class _TimeResidual(nn.Module):
    """Two convolutions along time over a clip, normalised over it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels, 1e-6)
        self.conv1 = TimeConv(channels, channels, 3)
        self.norm2 = nn.GroupNorm(GROUPS, channels, 1e-6)
        self.conv2 = TimeConv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(activated(self.norm1, x))
        return x + self.conv2(activated(self.norm2, h))


class Transformer(nn.Module):
    """Convolutions along time, then attention."""

    def __init__(self, channels: int, config: UNetConfig, text_only: bool) -> None:
        super().__init__()
        self.resblock_temporal = _TimeResidual(channels)
        self.norm = nn.GroupNorm(GROUPS, channels, 1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, config, text_only)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(B,C,T,h,w), (B*T,K,D) -> (B,C,T,h,w)."""
        x = self.resblock_temporal(x)
        batch, _, frames, *size = x.shape
        tokens = rearrange(each_frame(self.norm, x), "b c t h w -> (b t) (h w) c")
        tokens = self.proj_in(tokens)
        for block in self.transformer_blocks:
            tokens = block(tokens, context, frames, torch.Size(size))
        return x + rearrange(self.proj_out(tokens), "(b t) (h w) c -> b c t h w", b=batch, h=size[0])
