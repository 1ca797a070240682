"""DRF: the text-guided attention of TextOVSR between a frame's features and the tokens of a prompt.

One transformer block after Stable Diffusion's layout: GroupNorm, 1x1, self-attention, cross-attention, GEGLU, 1x1.
Self-attention runs over the whole frame (as published) or inside square windows (cost linear in the area).
"""

from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .feed_forward import FeedForward

_TOKENS_AT_ONCE = 1 << 16
"""Tokens for which the wide activations of the feed-forward exist at the same time during inference."""

_PIXELS_AT_ONCE = 1 << 18
"""Larger frames are refined in strips of so many pixels during inference, where attention runs in windows."""

_IN_CACHE = 1 << 13
"""On a CPU both are at most so many, whose activations stay in its cache."""


class _Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N,L,C) attends to (N,K,C); one head. The score matrix is never held whole."""
        context = x if context is None else context
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        # A head dimension of 1 lets PyTorch choose its memory-efficient kernels.
        out = F.scaled_dot_product_attention(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)).squeeze(1)
        return self.to_out[0](out)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = _Attention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = _Attention(channels)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def attend_text(self, x: Tensor, text: Tensor) -> Tensor:
        """Cross-attention and feed-forward: a function of each token of ``x`` alone."""
        x = x + self.attn2(self.norm2(x), text)
        return x + self.ff(self.norm3(x))


class DRF(nn.Module):
    """Text-guided refinement T(F) of a feature map (paper section 3.3; ``specs`` name it DRF).

    Args:
        channels: feature channels; GroupNorm uses half as many groups.
        window: side of the self-attention windows in pixels; 0 attends over the whole frame.
    """

    def __init__(self, channels: int, window: int = 0) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(channels // 2, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([_Block(channels)])
        self.proj_out = nn.Conv2d(channels, channels, 1)
        self.window = window
        if window:
            # In the state_dict, so that a checkpoint says which attention it was trained with.
            self.register_buffer("attention_window", torch.tensor(window))

    def forward(self, features: Tensor, text: Tensor) -> Tensor:
        """Refine.

        Args:
            features: (B,C,H,W).
            text: (B,77,C), one projected prompt a frame.

        Returns:
            (B,C,H,W), the input included: F + delta.
        """
        x = self.norm(features)
        height, width = x.shape[-2:]
        pixels = _at_once(_PIXELS_AT_ONCE, x)
        if torch.is_grad_enabled() or not self.window or height * width <= pixels:
            return self._refine(x, text) + features
        rows = max(pixels // width // self.window, 1) * self.window  # no window is cut
        for top in range(0, height, rows):
            strip = slice(top, top + rows)
            x[..., strip, :] = self._refine(x[..., strip, :], text) + features[..., strip, :]
        return x

    def _refine(self, normed: Tensor, text: Tensor) -> Tensor:
        """What is added to features, (B,C,H,W); after the norm, windows know nothing of each other."""
        block = cast(_Block, self.transformer_blocks[0])
        x = self._attend_self(self.proj_in(normed), block)
        tokens = rearrange(x, "b c h w -> b (h w) c")
        if self.training:
            tokens = block.attend_text(tokens, text)
        else:
            pieces = tokens.split(_at_once(_TOKENS_AT_ONCE, tokens), dim=1)
            tokens = torch.cat([block.attend_text(piece, text) for piece in pieces], dim=1)
        return self.proj_out(rearrange(tokens, "b (h w) c -> b c h w", h=normed.shape[-2]))

    def _attend_self(self, x: Tensor, block: _Block) -> Tensor:
        height, width = x.shape[-2:]
        if not self.window:
            tokens = rearrange(x, "b c h w -> b (h w) c")
            tokens = tokens + block.attn1(block.norm1(tokens))
            return rearrange(tokens, "b (h w) c -> b c h w", h=height)
        side = self.window
        x = F.pad(x, (0, -width % side, 0, -height % side), mode="replicate")
        tokens = rearrange(x, "b c (y p) (x q) -> (b y x) (p q) c", p=side, q=side)
        tokens = tokens + block.attn1(block.norm1(tokens))
        x = rearrange(
            tokens, "(b y x) (p q) c -> b c (y p) (x q)", y=x.shape[-2] // side, x=x.shape[-1] // side, p=side
        )
        return x[..., :height, :width]


def _at_once(most: int, x: Tensor) -> int:
    return min(most, _IN_CACHE) if x.device.type == "cpu" else most
