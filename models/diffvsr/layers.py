"""What the denoiser is made of: residual blocks, resizing, mixing of frames, the time embedding.

Clips are (B,C,T,h,w). Normalisation over a clip takes its statistics from all frames together: a frame's result depends
on the others even where no layer mixes them.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .config import GROUPS


def waves(positions: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Positions (N,) as cosines, then sines, (N,channels), of frequencies from 1 down to 1/10000."""
    half = channels // 2
    steps = torch.arange(half, device=positions.device, dtype=torch.float32)
    angles = positions.float()[:, None] * torch.exp(-math.log(10000.0) * steps / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(dtype)


class TimeEmbedding(nn.Module):
    """What is made of a timestep's waves."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, outputs)
        self.linear_2 = nn.Linear(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B,channels) -> (B,outputs)."""
        return self.linear_2(F.silu(self.linear_1(x)))


def each_frame(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply what takes pictures (N,C,h,w) to every frame of (B,C,T,h,w)."""
    batch, pictures = x.shape[0], rearrange(x, "b c t h w -> (b t) c h w")
    del x  # what came in as a temporary is gone before the layer needs its memory
    return rearrange(layer(pictures), "(b t) c h w -> b c t h w", b=batch)


def activated(norm: nn.Module, x: Tensor) -> Tensor:
    """Normalise, and apply SiLU in the memory of the normalised."""
    return F.silu(norm(x), inplace=True)


class TimeConv(nn.Conv3d):
    """A convolution along time alone, run as one in two dimensions, for which there are quicker kernels."""

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__(inputs, outputs, (length, 1, 1), padding=(length // 2, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,T,h,w) -> (B,C',T,h,w)."""
        flat = F.conv2d(x.flatten(3), self.weight.squeeze(-1), self.bias, padding=(self.weight.shape[2] // 2, 0))
        return flat.unflatten(3, x.shape[3:])


class ResnetBlock(nn.Module):
    """Two convolutions of each frame, the time embedding between them, normalised over the clip."""

    def __init__(self, inputs: int, outputs: int, embedding: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs, eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, outputs)
        self.norm2 = nn.GroupNorm(GROUPS, outputs, eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.conv_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B,C,T,h,w), (B,E) -> (B,C',T,h,w)."""
        h = each_frame(self.conv1, activated(self.norm1, x))
        h = h + self.time_emb_proj(F.silu(embedding))[:, :, None, None, None]
        h = each_frame(self.conv2, activated(self.norm2, h))
        return h + (each_frame(self.conv_shortcut, x) if hasattr(self, "conv_shortcut") else x)


class TimeResnetBlock(nn.Module):
    """Two convolutions along time, five frames and then three, with the time embedding between them."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels, 1e-6)
        self.conv1 = TimeConv(channels, channels, 5)
        self.time_emb_proj = nn.Linear(embedding, channels)
        self.norm2 = nn.GroupNorm(GROUPS, channels, 1e-6)
        self.conv2 = TimeConv(channels, channels, 3)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B,C,T,h,w), (B,E) -> (B,C,T,h,w)."""
        h = self.conv1(activated(self.norm1, x))
        h = h + self.time_emb_proj(F.silu(embedding))[:, :, None, None, None]
        return x + self.conv2(activated(self.norm2, h))


class TemporalModule(nn.Module):
    """Mixes frames after a level: along time, then in each frame, added through a projection that begins as zero."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.resblocks_3d_t = TimeResnetBlock(channels, embedding)
        self.resblocks_3d_s = ResnetBlock(channels, channels, embedding, eps=1e-6)
        self.shift_conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B,C,T,h,w), (B,E) -> (B,C,T,h,w)."""
        h = self.resblocks_3d_s(self.resblocks_3d_t(x, embedding), embedding)
        return x + each_frame(self.shift_conv, h)


class Downsample(nn.Module):
    """Half the size, odd sizes rounded up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,T,h,w) -> (B,C,T,h/2,w/2)."""
        return each_frame(self.conv, x)


class Upsample(nn.Module):
    """Repeats pixels up to a given size, and convolves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """(B,C,T,h,w), (h',w') -> (B,C,T,h',w')."""
        return each_frame(lambda frames: self.conv(F.interpolate(frames, size=size, mode="nearest")), x)
