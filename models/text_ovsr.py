"""TextOVSR (CVPR 2026): recurrent video super-resolution x4, guided by text.

``forward`` is the published inference over a whole clip. Its steps are public methods, so that a streaming caller can
run the same mathematics window by window: ``clean``, ``flow``, ``embed_text``, ``extract``, ``propagate``,
``reconstruct``. Key names are those of the published checkpoint.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import ShapeError
from .clip_text import ClipText
from .drf import DRF
from .narrow import NarrowConv2d
from .spynet import SPyNet
from .text_ovsr_config import LITE, TextOVSRConfig, read_config
from .warp import warp

MAX_CLEANING_PASSES = 3
"""The published limit of the image cleaning."""

MIN_SIDE = 64
"""Smallest height and width the network takes (the flow pyramid halves five times)."""


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu_(self.conv1(x))).add_(x)


class ResidualBlocks(nn.Module):
    """A convolution to ``channels``, LeakyReLU 0.1, and a chain of residual blocks."""

    def __init__(self, inputs: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.main = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Sequential(*(_ResidualBlock(channels) for _ in range(blocks))),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class _Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample_conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda and not self.training:
            return shuffled_convolution(x, self.upsample_conv)
        return F.pixel_shuffle(self.upsample_conv(x), 2)


def shuffled_convolution(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """``pixel_shuffle(layer(x), 2)``, which PyTorch's CUDA kernel would turn from channels_last to contiguous and back.

    The layer's outputs are brought into the order (row, column, channel), so that the shuffle moves whole pixels.

    Args:
        x: (B,C,H,W).
        layer: a 3x3 convolution from C to 4C' channels.

    Returns:
        (B,C',2H,2W), channels_last.
    """
    assert layer.bias is not None
    c = layer.out_channels // 4
    weight = layer.weight.unflatten(0, (c, 2, 2)).permute(1, 2, 0, 3, 4, 5).flatten(0, 2)
    bias = layer.bias.view(c, 4).t().reshape(-1)
    y = F.conv2d(x, weight.contiguous(memory_format=torch.channels_last), bias, padding=1)
    b, _, h, w = y.shape
    pixels = y.permute(0, 2, 3, 1).reshape(b, h, w, 2, 2, c)  # (B,4C',H,W) -> (B,H,W,2,2,C')
    return pixels.permute(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c).permute(0, 3, 1, 2)


class _Core(nn.Module):
    """The part that the checkpoint calls ``basicvsr``."""

    def __init__(self, config: TextOVSRConfig) -> None:
        super().__init__()
        c = config.channels
        self.spynet = SPyNet(config.flow_levels)
        self.backward_resblocks_layer10_po = ResidualBlocks(2 * c, c, config.blocks)
        self.forward_resblocks_layer10_po = ResidualBlocks(2 * c, c, config.blocks)
        self.fusion = nn.Conv2d(2 * c, c, 1)
        self.upsample1 = _Upsample(c)
        self.upsample2 = _Upsample(c)
        self.conv_hr = nn.Conv2d(c, c, 3, padding=1)
        self.conv_last = NarrowConv2d(c, 3, 3, padding=1)
        self.text_encoder = ClipText(config.text)
        self.text_proj = nn.Sequential(
            nn.Linear(config.text.width, config.text_hidden), nn.GELU(), nn.Linear(config.text_hidden, c)
        )
        self.frame_extractor = nn.Sequential(
            nn.Conv2d(3, c, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(c, c, 3, padding=1), nn.LeakyReLU(0.1)
        )
        self.backward_cross_attn = DRF(c, config.attention_window)
        if config.negative:
            self.backward_resblocks_layer10 = ResidualBlocks(c + 3, c, config.blocks)
            self.forward_resblocks_layer10 = ResidualBlocks(c + 3, c, config.blocks)
            self.forward_cross_attn = DRF(c, config.attention_window)


class TextOVSR(nn.Module):
    """The network; 5.65M parameters beside SPyNet and the text encoder at the published size."""

    def __init__(self, config: TextOVSRConfig | None = None) -> None:
        super().__init__()
        self.config = config or TextOVSRConfig()
        self.image_cleaning = nn.Sequential(
            ResidualBlocks(3, self.config.channels, self.config.cleaning_blocks),
            NarrowConv2d(self.config.channels, 3, 3, padding=1),
        )
        self.basicvsr = _Core(self.config)

    def forward(
        self, lr: Tensor, input_ids: Tensor, attention_mask: Tensor, cleaning_threshold: float = 255.0
    ) -> Tensor:
        """Upscale a clip as published, holding all of it in memory.

        Args:
            lr: (B,T,3,H,W) RGB in [0,1], H and W at least 64.
            input_ids: (B*T,77) prompt tokens, one prompt a frame.
            attention_mask: (B*T,77), 0 on padding.
            cleaning_threshold: cleaning stops once its mean correction, of 255, is below this; 255 means one pass.

        Returns:
            (B,T,3,4H,4W), not clamped.

        Raises:
            ShapeError: the frames are too small or not (B,T,3,H,W).
        """
        _check_clip(lr)
        cleaned = self.clean(lr.flatten(0, 1), cleaning_threshold).unflatten(0, lr.shape[:2])
        return self.upscale(cleaned, input_ids, attention_mask)

    def upscale(self, cleaned: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``forward`` after the cleaning: (B,T,3,H,W) -> (B,T,3,4H,4W)."""
        b, t = cleaned.shape[:2]
        text = self.embed_text(input_ids, attention_mask)
        features = self.extract(cleaned.flatten(0, 1), text).unflatten(0, (b, t))
        forward_flow, backward_flow = self._flows(cleaned)
        blocks = (self.basicvsr.backward_resblocks_layer10_po, self.basicvsr.forward_resblocks_layer10_po)
        bw, fw = _propagate_both(blocks, features, forward_flow, backward_flow)
        frames = [self.reconstruct(bw[i], fw[i], cleaned[:, i]) for i in range(t)]
        return torch.stack(frames, dim=1)

    def negative(self, lr: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The training-only branch on a spoilt clip (paper section 3.2): raw RGB early, text late.

        Shapes as in ``forward``; ``input_ids`` hold the degradation text.
        """
        _check_clip(lr)
        core = self.basicvsr
        text = self.embed_text(input_ids, attention_mask).unflatten(0, lr.shape[:2])
        forward_flow, backward_flow = self._flows(lr)
        blocks = (core.backward_resblocks_layer10, core.forward_resblocks_layer10)
        late = (core.backward_cross_attn, core.forward_cross_attn)
        bw, fw = _propagate_both(blocks, lr, forward_flow, backward_flow, late, text)
        frames = [self.reconstruct(bw[i], fw[i], lr[:, i]) for i in range(lr.shape[1])]
        return torch.stack(frames, dim=1)

    def clean(self, frames: Tensor, threshold: float = 255.0, passes: int = MAX_CLEANING_PASSES) -> Tensor:
        """Remove noise and compression before upscaling: (N,3,H,W) -> (N,3,H,W); the mean runs over all N."""
        for _ in range(passes):
            residual = self.image_cleaning(frames)
            frames = frames + residual
            if residual.abs().mean() < threshold / 255.0:
                break
        return frames

    def flow(self, reference: Tensor, support: Tensor) -> Tensor:
        """Flow that warps ``support`` onto ``reference``, (N,3,H,W) each -> (N,2,H,W)."""
        return self.basicvsr.spynet(reference, support)

    def embed_text(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Tokens (N,77) and their padding mask -> (N,77,C). Equal rows are encoded once."""
        rows, inverse = torch.unique(torch.cat([input_ids, attention_mask], 1), dim=0, return_inverse=True)
        ids, mask = rows.chunk(2, dim=1)
        return self.basicvsr.text_proj(self.basicvsr.text_encoder(ids, mask))[inverse]

    def extract(self, cleaned: Tensor, text: Tensor) -> Tensor:
        """Features of cleaned frames, refined by text: M = F + T(F). (N,3,H,W), (N,77,C) -> (N,C,H,W)."""
        features = self.basicvsr.frame_extractor(cleaned)
        return features + self.basicvsr.backward_cross_attn(features, text)

    def reconstruct(self, backward: Tensor, forward: Tensor, cleaned: Tensor) -> Tensor:
        """Both directions' features (N,C,H,W) and the cleaned frames (N,3,H,W) -> (N,3,4H,4W).

        The result is as precise as the more precise of them.
        """
        core = self.basicvsr
        x = core.fusion(torch.cat([backward, forward], dim=1))
        x = F.leaky_relu_(core.upsample1(F.leaky_relu_(x, 0.1)), 0.1)
        x = F.leaky_relu_(core.upsample2(x), 0.1)
        x = core.conv_last(F.leaky_relu_(core.conv_hr(x), 0.1))
        return x + F.interpolate(cleaned, scale_factor=4, mode="bilinear", align_corners=False)

    def _flows(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(B,T,3,H,W) -> forward and backward flow, (B,T-1,2,H,W) each; a mirrored clip needs only one."""
        b, t = frames.shape[:2]
        earlier, later = frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)
        if t == 1:
            none = frames.new_zeros(b, 0, 2, *frames.shape[-2:])
            return none, none
        backward = self.flow(earlier, later).unflatten(0, (b, t - 1))
        if _is_mirrored(frames):
            return backward.flip(1), backward
        return self.flow(later, earlier).unflatten(0, (b, t - 1)), backward


def propagate(blocks: ResidualBlocks, features: Tensor, state: Tensor | None, flow: Tensor | None) -> Tensor:
    """One step of the recurrence: p = blocks(cat[features, warp(state, flow)]); no state reads as zeros.

    Args:
        blocks: the residual blocks of this direction.
        features: (N,C',H,W), the frame's features.
        state: (N,C,H,W), the previous step's p.
        flow: (N,2,H,W) onto this frame.
    """
    if state is None:
        channels = blocks.inputs - features.shape[1]
        warped = features.new_zeros(features.shape[0], channels, *features.shape[-2:])
    else:
        warped = state if flow is None else warp(state, flow)
    return blocks(torch.cat([features, warped], dim=1))


def _propagate_both(
    blocks: tuple[ResidualBlocks, ResidualBlocks],
    features: Tensor,
    forward_flow: Tensor,
    backward_flow: Tensor,
    late: tuple[nn.Module, nn.Module] | None = None,
    text: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    t = features.shape[1]
    bw: list[Tensor] = []
    fw: list[Tensor] = []
    for i in range(t):
        j = t - 1 - i
        bw.append(propagate(blocks[0], features[:, j], bw[-1] if bw else None, backward_flow[:, j] if i else None))
        fw.append(propagate(blocks[1], features[:, i], fw[-1] if fw else None, forward_flow[:, i - 1] if i else None))
        if late is not None and text is not None:
            bw[-1] = bw[-1] + late[0](bw[-1], text[:, j])
            fw[-1] = fw[-1] + late[1](fw[-1], text[:, i])
    return bw[::-1], fw


def _is_mirrored(frames: Tensor) -> bool:
    """Whether the second half of a clip is the first half played backwards."""
    if frames.shape[1] % 2:
        return False
    first, second = frames.chunk(2, dim=1)
    return torch.equal(first, second.flip(1))


def _check_clip(lr: Tensor) -> None:
    if lr.ndim != 5 or lr.shape[2] != 3 or min(lr.shape[-2:]) < MIN_SIDE:
        raise ShapeError(
            f"Expected a clip of shape (B,T,3,H,W) with H and W at least {MIN_SIDE}, got {tuple(lr.shape)}; "
            "pad smaller frames first."
        )


__all__ = ["LITE", "MAX_CLEANING_PASSES", "MIN_SIDE", "TextOVSR", "TextOVSRConfig", "propagate", "read_config"]
