"""The video autoencoder of MGLD-VSR: its decoder mixes frames, and is led by features of the low-resolution frames."""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import ShapeError
from .config import LATENT_CHANNELS, VAEConfig
from .temporal import TemporalConv
from .vae_blocks import Fusion, Middle, ResnetBlock, normalisation

Features = tuple[Tensor, Tensor]
"""Of the encoder at half and at a quarter of the frames' size."""


class _Level(nn.Module):
    """Residual blocks of one size; the decoder's are each followed by a ``temporal_mixing``."""

    def __init__(self, inputs: int, outputs: int, blocks: int, temporal: bool) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * blocks
        self.block = nn.ModuleList(ResnetBlock(widths[i], outputs) for i in range(blocks))
        self.temporal_mixing = nn.ModuleList(TemporalConv(outputs) for _ in range(blocks if temporal else 0))

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            if len(self.temporal_mixing):
                x = self.temporal_mixing[i](x, frames)
        return x


class _Resize(nn.Module):
    """A convolution at half the size or twice the size."""

    def __init__(self, channels: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if down else 1, padding=0 if down else 1)

    def forward(self, x: Tensor) -> Tensor:
        resized = F.pad(x, (0, 1, 0, 1)) if self.down else F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.conv(resized)


class Encoder(nn.Module):
    """Frames to the moments of their latents, and the features that lead the decoder."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1)
        self.down = nn.ModuleList()
        width, last = config.channels, len(config.multipliers) - 1
        for level, multiplier in enumerate(config.multipliers):
            layer = _Level(width, multiplier * config.channels, config.blocks, temporal=False)
            width = multiplier * config.channels
            if level < last:
                layer.downsample = _Resize(width, down=True)
            self.down.append(layer)
        self.mid = Middle(width)
        self.norm_out = normalisation(width)
        self.conv_out = nn.Conv2d(width, 2 * LATENT_CHANNELS, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Features]:
        """(N,3,8h,8w) -> (N,8,h,w) and the features."""
        x = self.conv_in(x)
        features = []
        for level in self.down:
            x = level(x)
            features.append(x)
            if hasattr(level, "downsample"):
                x = cast("nn.Module", level.downsample)(x)
        x = self.conv_out(F.silu(self.norm_out(self.mid(x))))
        return x, (features[1], features[2])


class Decoder(nn.Module):
    """Latents to frames; key names are those of ``decoder`` in the published file."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        width = config.multipliers[-1] * config.channels
        self.conv_in = nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)
        self.mid = Middle(width)
        self.video = config.video
        if config.video:
            self.temporal_mixing = TemporalConv(width)
        self.up = nn.ModuleList()
        for level in reversed(range(len(config.multipliers))):
            outputs = config.multipliers[level] * config.channels
            layer = _Level(width, outputs, config.blocks + 1, temporal=config.video)
            width = outputs
            if level:
                layer.upsample = _Resize(width, down=False)
            self.up.insert(0, layer)
        if config.video:
            self.fusion_layer_2 = Fusion(config.multipliers[2] * config.channels)
            self.fusion_layer_1 = Fusion(config.multipliers[1] * config.channels)
        self.norm_out = normalisation(width)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, z: Tensor, features: Features, frames: int, weight: float) -> Tensor:
        """(B*T,4,h,w), the encoder's features, T, how much they count -> (B*T,3,8h,8w)."""
        x = self.mid.block_1(self.conv_in(z))
        x = self.temporal_mixing(x, frames) if self.video else x
        x = self.mid.block_2(self.mid.attn_1(x))
        fusions: dict[int, tuple[Fusion, Tensor]] = {}
        if self.video:
            fusions = {1: (self.fusion_layer_1, features[0]), 2: (self.fusion_layer_2, features[1])}
        for number, level in reversed(list(enumerate(self.up))):
            x = level(x, frames)
            if number in fusions:
                fusion, encoded = fusions[number]
                x = fusion(x, encoded, weight)
            if number:
                x = cast("nn.Module", level.upsample)(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class VideoVAE(nn.Module):
    """The whole; key names are those of the published file."""

    def __init__(self, config: VAEConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VAEConfig()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = nn.Conv2d(2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1)
        self.post_quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1)

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor, Features]:
        """Encode enlarged low-resolution frames.

        Args:
            frames: (N,3,8h,8w) RGB in [-1,1].

        Returns:
            Mean and logarithm of the variance of the latents, (N,4,h,w) each, not scaled, the latter clipped to -30 to
            20 as published; and the features for ``decode``.

        Raises:
            ShapeError: a side is no multiple of 8.
        """
        factor = 2 ** (len(self.config.multipliers) - 1)
        if frames.ndim != 4 or frames.shape[2] % factor or frames.shape[3] % factor:
            raise ShapeError(
                f"Expected frames (N,3,H,W) with sides that are multiples of {factor}, got {tuple(frames.shape)}; "
                "pad them first."
            )
        moments, features = self.encoder(frames)
        mean, log_variance = self.quant_conv(moments).chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0), features

    def decode(self, z: Tensor, features: Sequence[Tensor], frames: int, weight: float = 1.0) -> Tensor:
        """Decode latents.

        Args:
            z: (B*T,4,h,w), not scaled.
            features: of the same frames, as ``encode`` gives them.
            frames: T, frames that are mixed with each other.
            weight: 0 to 1: how much the features count; published with 1.

        Returns:
            (B*T,3,8h,8w), RGB about [-1,1], not clamped.

        Raises:
            ShapeError: the batch is no whole number of clips.
        """
        if z.shape[0] % frames:
            raise ShapeError(f"Expected latents of clips of {frames} frames, got {tuple(z.shape)}; pad the last clip.")
        half, quarter = features
        return self.decoder(self.post_quant_conv(z), (half, quarter), frames, weight)
