"""The denoiser of DiffVSR: the U-Net of Stable Diffusion's x4 upscaler over a clip, with time in and between blocks."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ...core.errors import ShapeError
from .attention import Transformer
from .config import FRAME_CHANNELS, GROUPS, LATENT_CHANNELS, UNetConfig
from .layers import Downsample, ResnetBlock, TemporalModule, TimeEmbedding, Upsample, activated, each_frame, waves


class _Level(nn.Module):
    """Residual blocks of one size, each followed by attention where the level has some, and what resizes after them."""

    def __init__(self, widths: Sequence[tuple[int, int]], config: UNetConfig, attention: str) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(inputs, outputs, config.embedding) for inputs, outputs in widths)
        self.attentions = nn.ModuleList(
            Transformer(width, config, attention == "text") for _, width in widths if attention
        )
        self.downsamplers = nn.ModuleList()
        self.upsamplers = nn.ModuleList()

    def block(self, index: int, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        x = self.resnets[index](x, embedding)
        return self.attentions[index](x, context) if len(self.attentions) else x


class _Middle(nn.Module):
    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([Transformer(channels, config, text_only=False)])
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, config.embedding) for _ in range(2))

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        x = self.attentions[0](self.resnets[0](x, embedding), context)
        return self.resnets[1](x, embedding)


class UNet(nn.Module):
    """Predicts the velocity. Key names are those of the published checkpoint, whose rotary buffers are left out."""

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNetConfig()
        channels = config.channels
        self.conv_in = nn.Conv2d(LATENT_CHANNELS + FRAME_CHANNELS, channels[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(channels[0], config.embedding)
        self.class_embedding = nn.Embedding(config.noise_levels, config.embedding)
        self._build_down(config)
        self.mid_block = _Middle(channels[-1], config)
        self.mid_temporal_block = TemporalModule(channels[-1], config.embedding)
        self._build_up(config)
        self.conv_norm_out = nn.GroupNorm(GROUPS, channels[0], 1e-5)
        self.conv_out = nn.Conv2d(channels[0], LATENT_CHANNELS, 3, padding=1)

    def _build_down(self, config: UNetConfig) -> None:
        channels, last = config.channels, len(config.channels) - 1
        self.down_blocks, self.down_temporal_blocks = nn.ModuleList(), nn.ModuleList()
        before = channels[0]
        for number, width in enumerate(channels):
            inputs = [before] + [width] * (config.blocks - 1)
            level = _Level([(i, width) for i in inputs], config, _attention(number, last))
            if number < last:
                level.downsamplers.append(Downsample(width))
            self.down_blocks.append(level)
            self.down_temporal_blocks.append(TemporalModule(width, config.embedding))
            before = width

    def _build_up(self, config: UNetConfig) -> None:
        channels, last = config.channels, len(config.channels) - 1
        self.up_blocks, self.up_temporal_blocks = nn.ModuleList(), nn.ModuleList()
        before = channels[-1]
        for number in range(last, -1, -1):
            width = channels[number]
            inputs = [before] + [width] * config.blocks
            skips = [width] * config.blocks + [channels[max(number - 1, 0)]]
            widths = [(i + skip, width) for i, skip in zip(inputs, skips, strict=True)]
            level = _Level(widths, config, _attention(number, last))
            if number:
                level.upsamplers.append(Upsample(width))
            self.up_blocks.append(level)
            self.up_temporal_blocks.append(TemporalModule(width, config.embedding))
            before = width

    def forward(self, x: Tensor, timestep: int, context: Tensor, low_res: Tensor, noise_level: int) -> Tensor:
        """Predict the velocity sqrt(abar) n - sqrt(1 - abar) x0.

        Args:
            x: (B,4,T,h,w), noisy scaled latents, at the low resolution. Statistics of normalisation are those of each
                whole clip.
            timestep: 0 to 999.
            context: (B,K,D), the text's tokens, or (B,T,K,D), those of each frame.
            low_res: (B,3,T,h,w), RGB in [-1,1] with noise of ``noise_level``.
            noise_level: below ``config.noise_levels``; trained up to 350.

        Returns:
            (B,4,T,h,w).

        Raises:
            ShapeError: latents and frames, or their number and the text's, do not go together.
        """
        _check(x, low_res, context)
        times = torch.full((x.shape[0],), timestep, device=x.device)
        levels = torch.full((x.shape[0],), noise_level, device=x.device)
        embedding = self.time_embedding(waves(times, self.config.channels[0], x.dtype)) + self.class_embedding(levels)
        context = context.flatten(0, 1) if context.ndim == 4 else context.repeat_interleave(x.shape[2], dim=0)
        x = each_frame(self.conv_in, torch.cat([x, low_res], dim=1))
        x, skips = self._down(x, embedding, context)
        x = self.mid_temporal_block(self.mid_block(x, embedding, context), embedding)
        x = self._up(x, skips, embedding, context)
        return each_frame(self.conv_out, activated(self.conv_norm_out, x))

    def _down(self, x: Tensor, embedding: Tensor, context: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = [x]
        for level, temporal in zip(_levels(self.down_blocks), self.down_temporal_blocks, strict=True):
            for index in range(len(level.resnets)):
                x = level.block(index, x, embedding, context)
                skips.append(x)
            for resize in level.downsamplers:
                x = resize(x)
                skips.append(x)
            x = temporal(x, embedding)
        return x, skips

    def _up(self, x: Tensor, skips: list[Tensor], embedding: Tensor, context: Tensor) -> Tensor:
        for level, temporal in zip(_levels(self.up_blocks), self.up_temporal_blocks, strict=True):
            for index in range(len(level.resnets)):
                x = level.block(index, torch.cat([x, skips.pop()], dim=1), embedding, context)
            for resize in level.upsamplers:
                x = resize(x, skips[-1].shape[-2:])
            x = temporal(x, embedding)
        return x


def _levels(modules: nn.ModuleList) -> list[_Level]:
    return cast("list[_Level]", list(modules))


def _attention(level: int, last: int) -> str:
    """What the first attention of a level's blocks looks at: nothing, the text alone, or the frame."""
    if level == 0:
        return ""
    return "frame" if level == last else "text"


def _check(x: Tensor, low_res: Tensor, context: Tensor) -> None:
    if x.ndim != 5 or x.shape[1] != LATENT_CHANNELS:
        raise ShapeError(f"Expected latents (B,{LATENT_CHANNELS},T,h,w), got {tuple(x.shape)}.")
    expected = (x.shape[0], FRAME_CHANNELS, *x.shape[2:])
    if tuple(low_res.shape) != expected:
        raise ShapeError(f"Expected frames {expected} for these latents, got {tuple(low_res.shape)}.")
    if context.ndim not in (3, 4) or tuple(context.shape[:-2]) not in ((len(x),), (len(x), x.shape[2])):
        raise ShapeError(
            f"Expected a text for each of {len(x)} clips, ({len(x)},K,D), or of their {x.shape[2]} frames, got "
            f"{tuple(context.shape)}; repeat it."
        )
