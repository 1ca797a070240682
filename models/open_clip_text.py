"""The text tower of OpenCLIP as Stable Diffusion 2 reads it, at any size, under open_clip's own key names."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class OpenClipConfig:
    """Size of the tower; the defaults are ViT-H-14's, without its last layer (Rombach et al., 2022, release 2.0)."""

    vocabulary: int = 49408
    width: int = 1024
    layers: int = 23
    heads: int = 16
    hidden: int = 4096
    tokens: int = 77


class OpenClipText(nn.Module):
    """Token ids in, one feature vector a token out: that of the layers there are, after the last LayerNorm.

    The mask is causal only: padding is read like any word, which is what the diffusion networks were trained with.
    """

    def __init__(self, config: OpenClipConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.positional_embedding = nn.Parameter(torch.zeros(config.tokens, config.width))
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.ln_final = nn.LayerNorm(config.width)

    def forward(self, ids: Tensor) -> Tensor:
        """Encode tokens.

        Args:
            ids: (B,tokens) integers, padded with 0.

        Returns:
            (B,tokens,width).
        """
        x = self.token_embedding(ids) + self.positional_embedding
        for layer in self.transformer.resblocks:  # type: ignore[union-attr]  # a ModuleList by its name
            x = layer(x)
        return self.ln_final(x)


class _Layer(nn.Module):
    def __init__(self, config: OpenClipConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = _Attention(config.width, config.heads)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(config.width, config.hidden), "c_proj": nn.Linear(config.hidden, config.width)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,n,width) to the same."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))


class _Attention(nn.Module):
    """``nn.MultiheadAttention``'s parameters, causal."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B,n,width) to the same."""
        together = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        # (B,n,3*heads*head) -> three of (B,heads,n,head)
        query, key, value = together.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # (B,heads,n,head) -> (B,n,width)
