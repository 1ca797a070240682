"""What the video autoencoder is made of: residual blocks, attention over a frame, fusion with the source's features."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .blocks import GROUPS

_GROWTH = 32
_DENSE_SHARE = 0.2


def normalisation(channels: int) -> nn.GroupNorm:
    """The autoencoder's."""
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)


class ResnetBlock(nn.Module):
    """Two convolutions and a shortcut, whose key is ``shortcut`` where the width changes."""

    def __init__(self, inputs: int, outputs: int, shortcut: str = "nin_shortcut") -> None:
        super().__init__()
        self.norm1 = normalisation(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = normalisation(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = shortcut if inputs != outputs else ""
        if self.shortcut:
            self.add_module(shortcut, nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C',h,w)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.get_submodule(self.shortcut)(x) if self.shortcut else x)


class AttnBlock(nn.Module):
    """Attention of a frame's places to each other, with one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = normalisation(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,h,w)."""
        h = self.norm(x)
        q, k, v = (rearrange(layer(h), "n c h w -> n 1 (h w) c") for layer in (self.q, self.k, self.v))
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(rearrange(attended, "n 1 (h w) c -> n c h w", h=x.shape[2]))


class Middle(nn.Module):
    """The coarsest level."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels)
        self.attn_1 = AttnBlock(channels)
        self.block_2 = ResnetBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,h,w)."""
        return self.block_2(self.attn_1(self.block_1(x)))


class _DenseBlock(nn.Module):
    """Five convolutions, each of which sees all before it (Zhang et al., CVPR 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for i in range(5):
            outputs = _GROWTH if i < 4 else channels
            self.add_module(f"conv{i + 1}", nn.Conv2d(channels + i * _GROWTH, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        layers = list(self.children())
        for layer in layers[:-1]:
            seen = torch.cat([seen, F.leaky_relu(layer(seen), 0.2)], dim=1)
        return x + _DENSE_SHARE * layers[-1](seen)


class Fusion(nn.Module):
    """Adds to the decoder's features what the encoder's say beyond them, as much of it as is asked for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode_enc_1 = ResnetBlock(2 * channels, channels, shortcut="conv_out")
        self.encode_enc_2 = nn.Sequential(_DenseBlock(channels), _DenseBlock(channels))
        self.encode_enc_3 = ResnetBlock(channels, channels)

    def forward(self, decoded: Tensor, encoded: Tensor, weight: float) -> Tensor:
        """(N,C,h,w) twice -> (N,C,h,w)."""
        both = torch.cat([encoded, decoded], dim=1)
        return decoded + weight * self.encode_enc_3(self.encode_enc_2(self.encode_enc_1(both)))
