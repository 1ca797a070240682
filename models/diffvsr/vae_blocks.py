"""What the autoencoder is made of. Pictures are (N,C,h,w), clips (B,C,T,h,w)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..feed_forward import FeedForward
from .attention import Attention
from .config import GROUPS
from .layers import activated, each_frame, waves


def normalisation(channels: int) -> nn.GroupNorm:
    """The autoencoder's, of each frame."""
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)


class PictureBlock(nn.Module):
    """Two convolutions of a picture, and a shortcut where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = normalisation(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = normalisation(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.conv_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C',h,w)."""
        h = self.conv1(activated(self.norm1, x))
        h = self.conv2(activated(self.norm2, h))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class ClipConv(nn.Conv3d):
    """A convolution over 3x3 pixels of three frames.

    On a CPU it is run as one in two dimensions for each of the three, for which there are quicker kernels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,T,h,w) -> (B,C,T,h,w)."""
        if x.device.type != "cpu":
            return super().forward(x)
        before, at, after = self.weight.unbind(2)
        result = each_frame(lambda frames: F.conv2d(frames, at, self.bias, padding=1), x)
        if x.shape[2] > 1:
            result[:, :, 1:] += each_frame(lambda frames: F.conv2d(frames, before, padding=1), x[:, :, :-1])
            result[:, :, :-1] += each_frame(lambda frames: F.conv2d(frames, after, padding=1), x[:, :, 1:])
        return result


class _ClipBlock(nn.Module):
    """Two convolutions of a clip, normalised over all its frames together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels)
        self.conv1 = ClipConv(channels)
        self.norm2 = nn.GroupNorm(GROUPS, channels)
        self.conv2 = ClipConv(channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(activated(self.norm1, x))
        return x + self.conv2(activated(self.norm2, h))


class _Mixer(nn.Module):
    """One number that says how much of the clip's result is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, pictures: Tensor, clip: Tensor) -> Tensor:
        return torch.lerp(pictures, clip, self.mix_factor.sigmoid().to(clip.dtype))


class ResBlock(nn.Module):
    """A block of each frame, then one of the clip, mixed."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spatial_res_block = PictureBlock(inputs, outputs)
        self.temporal_res_block = _ClipBlock(outputs)
        self.time_mixer = _Mixer()

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,T,h,w) -> (B,C',T,h,w)."""
        x = each_frame(self.spatial_res_block, x)
        return self.time_mixer(x, self.temporal_res_block(x))


class _TimeMix(nn.Module):
    """A transformer block along time; its second attention looks at the frames too."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(channels)
        self.ff_in = FeedForward(channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, channels, heads=1)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, channels, heads=1)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N,T,C) -> (N,T,C)."""
        x = x + self.ff_in(self.norm_in(x))
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x))
        return x + self.ff(self.norm3(x))


_ROWS = 16384
"""Places that attend along time at once; kernels take no more than 65535."""


class ClipAttention(nn.Module):
    """Attention of a frame's places to each other, then of each place along time, mixed and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = normalisation(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)
        self.time_mix_block = _TimeMix(channels)
        self.video_time_embed = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.SiLU(), nn.Linear(4 * channels, channels)
        )
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,T,h,w) -> (B,C,T,h,w)."""
        batch, channels, frames, height, _ = x.shape
        pictures = rearrange(x, "b c t h w -> (b t) c h w")
        h = self.norm(pictures)
        q, k, v = (rearrange(layer(h), "n c h w -> n 1 (h w) c") for layer in (self.q, self.k, self.v))
        found = F.scaled_dot_product_attention(q, k, v).squeeze(1)
        places = waves(torch.arange(frames, device=x.device), channels, x.dtype)
        mix = found + self.video_time_embed(places).repeat(batch, 1)[:, None]
        rows = rearrange(mix, "(b t) l c -> (b l) t c", t=frames)
        rows = torch.cat([self.time_mix_block(part) for part in rows.split(_ROWS)])
        mix = rearrange(rows, "(b l) t c -> (b t) l c", b=batch)
        mixed = torch.lerp(mix, found, self.mix_factor.sigmoid().to(mix.dtype))
        out = pictures + self.proj_out(rearrange(mixed, "n (h w) c -> n c h w", h=height))
        return rearrange(out, "(b t) c h w -> b c t h w", b=batch)


class PictureAttention(nn.Module):
    """Attention of a picture's places to each other; the encoder's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.group_norm = normalisation(channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,h,w)."""
        tokens = rearrange(self.group_norm(x), "n c h w -> n 1 (h w) c")
        attended = F.scaled_dot_product_attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        return x + rearrange(self.to_out[0](attended), "n 1 (h w) c -> n c h w", h=x.shape[2])


class PictureResize(nn.Module):
    """A convolution at half the size or twice the size."""

    def __init__(self, channels: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if down else 1, padding=0 if down else 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) -> (N,C,h',w')."""
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.down else F.interpolate(x, scale_factor=2.0, mode="nearest"))
