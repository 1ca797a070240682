"""What the network is made of beside attention: residual blocks with time in them, resizing, clip-wide normalisation.

A clip is (F,C,h,w). Layers write their results over their input where they can: it must belong to them alone, and no
gradient can be had. What is normalised over a whole clip is so exactly, however few frames are looked at at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chunks import Chunks
from .config import GROUPS


@dataclass(frozen=True)
class Run:
    """What a layer may ask for beside its clip.

    Attributes:
        embedding: (1,E), of the timestep.
        text: (1,K,D).
        chunks: what goes through at once.
    """

    embedding: Tensor
    text: Tensor
    chunks: Chunks


def each_frame(layer: Callable[[Tensor], Tensor], x: Tensor, chunks: Chunks) -> Tensor:
    """A layer that looks at frames one by one, some of (F,C,h,w) at a time."""
    out = None
    for part in chunks.frames(x):
        found = layer(x[part])
        if len(found) == len(x):
            return found.contiguous()
        if out is None:
            out = found.new_empty(len(x), *found.shape[1:])
        out[part] = found
        del found
    assert out is not None
    return out


def clip_scaling(norm: nn.GroupNorm, x: Tensor, chunks: Chunks) -> tuple[Tensor, Tensor]:
    """What a clip (F,C,h,w) is multiplied by, and what is added, to normalise it as a whole: (C,1,1), float32."""
    parts = (x[part].float().reshape(-1, norm.num_groups, x[0].numel() // norm.num_groups) for part in chunks.frames(x))
    found = [torch.var_mean(part, dim=2, correction=0) for part in parts]
    variances, means = (torch.cat(values) for values in zip(*found, strict=True))
    mean = means.mean(0)
    # Frames are of one size: the whole's variance is the mean of theirs and the variance of their means.
    variance = variances.mean(0) + (means - mean).square().mean(0)
    each = x.shape[1] // norm.num_groups
    rate = torch.rsqrt(variance + norm.eps).repeat_interleave(each)
    scale = norm.weight.float() * rate
    shift = norm.bias.float() - mean.repeat_interleave(each) * scale
    return scale[:, None, None], shift[:, None, None]


class TimeConv(nn.Sequential):
    """Normalisation over the clip, SiLU, and a convolution over three frames."""

    def __init__(self, channels: int, dropout: bool) -> None:
        between = [nn.SiLU()] + [nn.Identity()] * dropout  # counts in the names
        conv = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        super().__init__(nn.GroupNorm(GROUPS, channels), *between, conv)

    def write(self, x: Tensor, out: Tensor, chunks: Chunks) -> None:
        """Of ``x`` (F,C,h,w) into ``out``, which may be ``x`` itself."""
        norm, conv = cast("nn.GroupNorm", self[0]), cast("nn.Conv3d", self[-1])
        scale, shift = clip_scaling(norm, x, chunks)
        frames, before = len(x), None
        for part in chunks.frames(x):
            count = part.stop - part.start
            clip = x.new_zeros(x.shape[1], count + 2, *x.shape[2:])
            if before is not None:
                clip[:, 0] = before
            seen = (x[part.start : part.stop + 1] * scale).add_(shift)
            clip[:, 1 : len(seen) + 1] = F.silu(seen, inplace=True).transpose(0, 1)
            del seen
            before = clip[:, count].clone() if part.stop < frames else None
            out[part] = F.conv3d(clip[None], conv.weight, conv.bias)[0].transpose(0, 1)


class TimeConvs(nn.Module):
    """Four convolutions along time, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = TimeConv(channels, dropout=False)
        self.conv2 = TimeConv(channels, dropout=True)
        self.conv3 = TimeConv(channels, dropout=True)
        self.conv4 = TimeConv(channels, dropout=True)

    def forward(self, x: Tensor, chunks: Chunks) -> Tensor:
        """(F,C,h,w) -> (F,C,h,w), over ``x``."""
        h = torch.empty_like(x)
        self.conv1.write(x, h, chunks)
        for conv in (self.conv2, self.conv3, self.conv4):
            conv.write(h, h, chunks)
        return x.add_(h)


class ResBlock(nn.Module):
    """Two convolutions inside frames around the time embedding, then convolutions along time."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs), nn.SiLU(inplace=True), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, outputs),
            nn.SiLU(inplace=True),
            nn.Identity(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.temopral_conv = TimeConvs(outputs)

    def forward(self, held: list[Tensor], run: Run) -> Tensor:
        """Of the clips in a list, side by side in their channels, taken out of it: (F,C',h,w), over the first if it
        is as wide.
        """
        return self.temopral_conv(self._inside_frames(held, run), run.chunks)

    def _inside_frames(self, held: list[Tensor], run: Run) -> Tensor:
        embedding = self.emb_layers(run.embedding)[..., None, None]
        first, channels = held[0], sum(x.shape[1] for x in held)
        width = embedding.shape[1]
        out = first if first.shape[1] == width else first.new_empty(len(first), width, *first.shape[2:])
        for part in run.chunks.frames(first, channels):
            x = torch.cat([x[part] for x in held], dim=1) if len(held) > 1 else first[part]
            h = self.out_layers(self.in_layers(x).add_(embedding))
            out[part] = h.add_(self.skip_connection(x))
        held.clear()
        return out


class Downsample(nn.Module):
    """Half the size; two rows are added above and below, so that half of 8n+2 rows is 4n+2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=(2, 1))

    def forward(self, x: Tensor, run: Run) -> Tensor:
        """(F,C,h,w) -> (F,C,h/2+1,w/2)."""
        return each_frame(self.op, x, run.chunks)


class Upsample(nn.Module):
    """Twice the size, without the first and the last row."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        """(F,C,h,w) -> (F,C,2h-2,2w)."""
        return each_frame(self._double, x, run.chunks)

    def _double(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest")[:, :, 1:-1])
