"""STAR's denoiser and control network (Xie et al., ICCV 2025, on I2VGen-XL)."""

import torch
from torch import Tensor, nn

from ...core.errors import ShapeError
from ..mgld.blocks import time_layers, time_waves
from .attention import SpatialTransformer, TemporalTransformer
from .blocks import Downsample, ResBlock, Run, Upsample, each_frame
from .chunks import Chunks
from .config import GROUPS, LATENT_CHANNELS, StarNetConfig


class _Encoder(nn.Module):
    """The way down and the middle, which denoiser and control network both have."""

    def __init__(self, config: StarNetConfig) -> None:
        super().__init__()
        self.config = config
        width, last = config.channels, len(config.multipliers) - 1
        self.time_embed = time_layers(width, config.embedding)
        first = TemporalTransformer(width, config, config.first_heads * config.head_width)
        conv = nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)
        self.input_blocks = nn.ModuleList([nn.ModuleList([conv, first])])
        self.widths = [width]
        """Of what each block on the way down makes."""
        for level in range(last + 1):
            for _ in range(config.blocks):
                self.input_blocks.append(nn.ModuleList(self._layers(width, level)))
                width = config.channels * config.multipliers[level]
                self.widths.append(width)
            if level < last:
                self.input_blocks.append(Downsample(width))
                self.widths.append(width)
        middle = [ResBlock(width, width, config.embedding) for _ in range(2)]
        attention = [SpatialTransformer(width, config), TemporalTransformer(width, config)]
        self.middle_block = nn.ModuleList([middle[0], *attention, middle[1]])

    def _layers(self, inputs: int, level: int) -> list[nn.Module]:
        config = self.config
        width = config.channels * config.multipliers[level]
        layers: list[nn.Module] = [ResBlock(inputs, width, config.embedding)]
        if level < len(config.multipliers) - 1:
            layers += [SpatialTransformer(width, config), TemporalTransformer(width, config)]
        return layers

    def _prepare(self, timestep: int, text: Tensor, chunks: Chunks) -> Run:
        times = torch.tensor([timestep], device=text.device)
        return Run(self.time_embed(time_waves(times, self.config.channels, text.dtype)), text, chunks)

    def _first(self, x: Tensor, run: Run, hint: Tensor | None = None) -> Tensor:
        conv, transformer = _list(self.input_blocks[0])
        x = each_frame(conv, x, run.chunks)
        if hint is not None:
            x += hint
        return transformer(x, run)


class ControlNet(_Encoder):
    """What the low-resolution clip has to say at each level of the denoiser."""

    def __init__(self, config: StarNetConfig) -> None:
        super().__init__(config)
        self.input_hint_block = nn.Conv2d(LATENT_CHANNELS, config.channels, 3, padding=1)
        self.zero_convs = nn.ModuleList(nn.ModuleList([nn.Conv2d(width, width, 1)]) for width in self.widths)
        width = self.widths[-1]
        self.middle_block_out = nn.ModuleList([nn.Conv2d(width, width, 1)])

    def forward(self, x: Tensor, timestep: int, text: Tensor, hint: Tensor, chunks: Chunks) -> list[Tensor]:
        """(F,4,h,w), t, (1,K,D), (F,4,h,w) -> (F,C,h',w') of each block on the way down and of the middle."""
        run = self._prepare(timestep, text, chunks)
        held = [self._first(x, run, each_frame(self.input_hint_block, hint, chunks))]
        control = [each_frame(_list(self.zero_convs[0])[0], held[0], chunks)]
        for block, (zero,) in zip(self.input_blocks[1:], map(_list, self.zero_convs[1:]), strict=True):
            held.append(_through(block, held, run))
            control.append(each_frame(zero, held[0], chunks))
        held.append(_through(self.middle_block, held, run))
        control.append(each_frame(self.middle_block_out[0], held[0], chunks))
        return control


class StarNet(_Encoder):
    """Predicts the velocity. Key names are those of the published checkpoints."""

    def __init__(self, config: StarNetConfig | None = None) -> None:
        config = config or StarNetConfig()
        super().__init__(config)
        width, skips, last = self.widths[-1], list(self.widths), len(config.multipliers) - 1
        self.output_blocks = nn.ModuleList()
        for level in range(last, -1, -1):
            for i in range(config.blocks + 1):
                layers = self._layers(width + skips.pop(), level)
                width = config.channels * config.multipliers[level]
                if level and i == config.blocks:
                    layers.append(Upsample(width))
                self.output_blocks.append(nn.ModuleList(layers))
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(inplace=True), nn.Conv2d(width, LATENT_CHANNELS, 3, padding=1)
        )
        self.VideoControlNet = ControlNet(config)

    @torch.no_grad()
    def forward(self, x: Tensor, timestep: int, text: Tensor, hint: Tensor, chunks: Chunks | None = None) -> Tensor:
        """Predict the velocity alpha * noise - sigma * x0. No gradients: layers write over their input.

        Memory: besides one clip's features, those of the control network at every level are held, to which the
        denoiser's own are added; clips of a batch take turns.

        Args:
            x: (B,4,F,h,w), noisy scaled latents; see ``StarNetConfig.check_size`` for h and w.
            timestep: 0 to 999.
            text: (B,K,D), the text's tokens.
            hint: (B,4,F,h,w), scaled latents of the low-resolution clip at the same size.
            chunks: what goes through a layer at once.

        Returns:
            (B,4,F,h,w).

        Raises:
            ShapeError: latents of that size cannot be halved and doubled back, or the inputs do not go together.
        """
        self._check(x, text, hint)
        chunks = chunks or Chunks()
        clips = zip(x.transpose(1, 2), text, hint.transpose(1, 2), strict=True)
        found = [self._denoise(x, timestep, text[None], hint, chunks) for x, text, hint in clips]
        return torch.stack(found).transpose(1, 2)  # (B,F,4,h,w) -> (B,4,F,h,w)

    def _denoise(self, x: Tensor, timestep: int, text: Tensor, hint: Tensor, chunks: Chunks) -> Tensor:
        """(F,4,h,w), t, (1,K,D), (F,4,h,w) -> (F,4,h,w)."""
        skips = self.VideoControlNet(x, timestep, text, hint, chunks)
        run = self._prepare(timestep, text, chunks)
        held = [self._first(x, run)]
        skips[0] += held[0]
        for block, skip in zip(self.input_blocks[1:], skips[1:-1], strict=True):
            held.append(_through(block, held, run))
            skip += held[0]
        del skip
        held.append(_through(self.middle_block, held, run))
        held[0] += skips.pop()
        for block in self.output_blocks:
            held.append(skips.pop())
            held.append(_through(block, held, run))
        return each_frame(self.out, held[0], chunks)

    def _check(self, x: Tensor, text: Tensor, hint: Tensor) -> None:
        if x.ndim != 5 or x.shape[1] != LATENT_CHANNELS or hint.shape != x.shape:
            raise ShapeError(
                f"Expected latents and a hint (B,{LATENT_CHANNELS},F,h,w) of one size, got {tuple(x.shape)} and "
                f"{tuple(hint.shape)}."
            )
        if text.ndim != 3 or len(text) != len(x) or text.shape[2] != self.config.context:
            raise ShapeError(
                f"Expected a text for each of {len(x)} clips, ({len(x)},K,{self.config.context}), got "
                f"{tuple(text.shape)}."
            )
        self.config.check_size(*x.shape[-2:])


def _through(block: nn.Module, held: list[Tensor], run: Run) -> Tensor:
    """The clips in a list through the layers of a block, one clip as the result; the list is left empty.

    Nobody else may hold the clips: then each is gone as soon as the next is there.
    """
    for layer in _list(block) if isinstance(block, nn.ModuleList) else [block]:
        held.append(layer(held, run) if isinstance(layer, ResBlock) else layer(held.pop(), run))
    return held.pop()


def _list(modules: nn.Module) -> list[nn.Module]:
    assert isinstance(modules, nn.ModuleList)
    return list(modules)
