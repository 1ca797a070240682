"""The denoiser of MGLD-VSR: the U-Net of Stable Diffusion 2.1, modulated by structure, with time in its middle."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.errors import ShapeError
from .attention import SpatialTransformer
from .blocks import GROUPS, Downsample, ResBlock, Upsample, blocks, time_layers, time_waves
from .config import EMBEDDING, LATENT_CHANNELS, UNetConfig
from .temporal import TemporalAttention, TemporalConv


@dataclass(frozen=True)
class _Condition:
    """What a layer may ask for beside its input; ``structure`` is of the level that the layer works at."""

    embedding: Tensor
    context: Tensor
    structure: Tensor
    frames: int


class UNet(nn.Module):
    """Predicts the noise. Key names are those of ``model.diffusion_model`` in the published checkpoint."""

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNetConfig()
        self.time_embed = time_layers(config.channels, EMBEDDING * config.channels)
        width = config.channels
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)])])
        skips = [width]
        last = len(config.multipliers) - 1
        for level in range(last + 1):
            for _ in range(config.blocks):
                self.input_blocks.append(nn.ModuleList(self._layers(width, level)))
                width = self._width(level)
                skips.append(width)
            if level < last:
                self.input_blocks.append(nn.ModuleList([Downsample(width)]))
                skips.append(width)
        self.middle_block = nn.ModuleList(self._middle(width))
        self.output_blocks = nn.ModuleList()
        for level in range(last, -1, -1):
            for i in range(config.blocks + 1):
                layers = self._layers(width + skips.pop(), level)
                width = self._width(level)
                if level > 0 and i == config.blocks:
                    layers.append(Upsample(width))
                self.output_blocks.append(nn.ModuleList(layers))
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, LATENT_CHANNELS, 3, padding=1)
        )

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, structure: Sequence[Tensor], frames: int
    ) -> Tensor:
        """Predict the noise in ``x``.

        Args:
            x: (B*T,4,h,w), noisy scaled latents, the frames of a clip after each other.
            timesteps: (B*T,), 0 to 999.
            context: (B*T,K,D), the text's tokens.
            structure: of each level, as ``StructEncoder`` gives it for the same N and size.
            frames: T.

        Returns:
            (B*T,4,h,w).

        Raises:
            ShapeError: the batch is no whole number of clips, or the size cannot be halved at every level.
        """
        self._check(x, structure, frames)
        embedding = self.time_embed(time_waves(timesteps, self.config.channels, x.dtype))
        levels = [_Condition(embedding, context, feature, frames) for feature in structure]
        level, skips = 0, []
        for block in blocks(self.input_blocks):
            x = _run(block, x, levels[level])
            skips.append(x)
            level += isinstance(block[-1], Downsample)
        x = _run(self.middle_block, x, levels[level])
        for block in blocks(self.output_blocks):
            x = _run(block, torch.cat([x, skips.pop()], dim=1), levels[level])
            level -= isinstance(block[-1], Upsample)
        return self.out(x)

    def _width(self, level: int) -> int:
        return self.config.multipliers[level] * self.config.channels

    def _residual(self, inputs: int, outputs: int) -> ResBlock:
        return ResBlock(inputs, outputs, EMBEDDING * self.config.channels, self.config.structure)

    def _layers(self, inputs: int, level: int) -> list[nn.Module]:
        width = self._width(level)
        layers: list[nn.Module] = [self._residual(inputs, width)]
        if level < len(self.config.multipliers) - 1:
            layers.append(SpatialTransformer(width, self.config.context, self.config.head_width))
        return layers

    def _middle(self, width: int) -> list[nn.Module]:
        return [
            self._residual(width, width),
            TemporalConv(width),
            SpatialTransformer(width, self.config.context, self.config.head_width),
            TemporalAttention(width, self.config.head_width),
            self._residual(width, width),
            TemporalConv(width),
        ]

    def _check(self, x: Tensor, structure: Sequence[Tensor], frames: int) -> None:
        factor = 2 ** (len(self.config.multipliers) - 1)
        if x.ndim != 4 or x.shape[0] % frames or x.shape[2] % factor or x.shape[3] % factor:
            raise ShapeError(
                f"Expected latents (B*T,4,h,w) with T = {frames} and sides that are multiples of {factor}, "
                f"got {tuple(x.shape)}; pad smaller ones first."
            )
        if len(structure) != len(self.config.multipliers):
            raise ShapeError(f"Expected the structure at {len(self.config.multipliers)} levels, got {len(structure)}.")


def _run(block: nn.ModuleList, x: Tensor, given: _Condition) -> Tensor:
    for layer in block:
        if isinstance(layer, ResBlock):
            x = layer(x, given.embedding, given.structure)
        elif isinstance(layer, SpatialTransformer):
            x = layer(x, given.context)
        elif isinstance(layer, TemporalConv | TemporalAttention):
            x = layer(x, given.frames)
        else:
            x = layer(x)
    return x
