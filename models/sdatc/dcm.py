"""SDATC's distortion control module: one frame, cleaned of what its compression did and enlarged four times.

Residual groups of transformer blocks that attend within windows, every other one shifted by half a window (SwinIR;
Liang et al., 2021), then sub-pixel convolutions: I_dcm = Conv(Up(F0 + Conv(RSTB^n(F0)))) with F0 = Conv(x)
(``specs/sdatc.md`` section 2, eq. 4). It needs no other weights, and is a restorer of its own.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ...core.errors import SettingError, ShapeError

SCALE = 4

_SKIP = "bicubic_skip"
_SLOPE = 0.01


@dataclass(frozen=True)
class DcmConfig:
    """What a DCM looks like; the defaults are SwinIR's medium size, 11.9M parameters.

    The paper says six groups, windows of 8 and PixelShuffle; the rest is our guess.

    Attributes:
        channels: of the features, a multiple of ``heads``.
        groups: residual groups.
        depth: transformer blocks a group; every second one is shifted.
        heads: of the attention.
        window: side of the windows in pixels of the input.
        mlp_ratio: how much wider the blocks' hidden layer is.
        upsampler: ``pixelshuffle`` doubles the size twice, with 64 channels; ``direct`` is one convolution and one
            shuffle by four: a third of the work where the features are few.
        skip: ``none`` is eq. 4 to the letter; ``bicubic`` adds the enlarged input, which is then what a fresh network
            gives.
    """

    channels: int = 180
    groups: int = 6
    depth: int = 6
    heads: int = 6
    window: int = 8
    mlp_ratio: float = 2.0
    upsampler: Literal["pixelshuffle", "direct"] = "pixelshuffle"
    skip: Literal["bicubic", "none"] = "none"

    def __post_init__(self) -> None:
        counts = (self.channels, self.groups, self.depth, self.heads, self.window)
        if min(counts) < 1 or self.channels % self.heads or self.mlp_ratio <= 0:
            raise SettingError(f"Expected positive sizes and channels divisible by heads, got {self}; correct them.")


FULL = DcmConfig()
"""The paper's six groups, at SwinIR's medium width."""

LIGHT = DcmConfig(channels=60, groups=4, upsampler="direct", skip="bicubic")
"""SwinIR's lightweight size, 0.9M parameters: to be trained from nothing on small machines."""


class _Grid(NamedTuple):
    """How a frame is cut: ``offsets`` (L,L) index a window's table of biases, ``border`` (windows,1,L,L) is -inf where
    a shifted window holds pixels from opposite ends of the frame."""

    offsets: Tensor
    border: Tensor


class Dcm(nn.Module):
    """See the module's docstring. The keys are those of SwinIR's checkpoints, which also shift the mean colour."""

    def __init__(self, config: DcmConfig = FULL) -> None:
        super().__init__()
        self.config, c = config, config.channels
        self.conv_first = nn.Conv2d(3, c, 3, padding=1)
        self.patch_embed = nn.ModuleDict({"norm": nn.LayerNorm(c)})
        self.layers = nn.ModuleList(_Group(config) for _ in range(config.groups))
        self.norm = nn.LayerNorm(c)
        self.conv_after_body = nn.Conv2d(c, c, 3, padding=1)
        if config.upsampler == "direct":
            last = nn.Conv2d(c, 3 * SCALE**2, 3, padding=1)
            self.upsample = nn.Sequential(last, nn.PixelShuffle(SCALE))
        else:
            self.conv_before_upsample = nn.Sequential(nn.Conv2d(c, 64, 3, padding=1), nn.LeakyReLU(_SLOPE))
            self.upsample = nn.Sequential(*_doubling(), *_doubling())
            self.conv_last = last = nn.Conv2d(64, 3, 3, padding=1)
        if config.skip == "bicubic":
            self.register_buffer(_SKIP, torch.ones((), dtype=torch.uint8))  # so that a checkpoint says it
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, frames: Tensor) -> Tensor:
        """Clean and enlarge frames, each for itself.

        Args:
            frames: (N,3,h,w) in [0,1], of any size; filled up to whole windows by reflection, and cropped again.

        Returns:
            (N,3,4h,4w), about [0,1], not clamped.

        Raises:
            ShapeError: these are no frames.
        """
        if frames.ndim != 4 or frames.shape[1] != 3 or not frames.numel():
            raise ShapeError(f"Expected frames of shape (N,3,h,w), got {tuple(frames.shape)}; pass RGB frames.")
        h, w = frames.shape[-2:]
        filled = fill_up(frames, self.config.window)
        first = self.conv_first(filled)
        grid = _cut(first, self.config.window)
        x = self.patch_embed["norm"](first.permute(0, 2, 3, 1))  # (N,C,H,W) -> (N,H,W,C)
        for layer in self.layers:
            x = layer(x, grid)
        x = first + self.conv_after_body(self.norm(x).permute(0, 3, 1, 2))  # (N,H,W,C) -> (N,C,H,W)
        if self.config.upsampler == "direct":
            x = self.upsample(x)
        else:
            x = self.conv_last(self.upsample(self.conv_before_upsample(x)))
        x = x + enlarged(filled) if self.config.skip == "bicubic" else x
        return x[..., : SCALE * h, : SCALE * w]


def enlarged(frames: Tensor) -> Tensor:
    """(N,3,h,w) -> (N,3,4h,4w), bicubic, not clamped."""
    return F.interpolate(frames, scale_factor=SCALE, mode="bicubic", align_corners=False)


def fill_up(frames: Tensor, window: int) -> Tensor:
    """Fill frames (N,3,h,w) up to whole windows, by reflection; those too small to reflect repeat their border."""
    h, w = frames.shape[-2:]
    down, right = -h % window, -w % window
    if not (down or right):
        return frames
    return F.pad(frames, (0, right, 0, down), mode="reflect" if down < h and right < w else "replicate")


_WIDEST_WINDOW = 64
"""Side of a window; what lies between its pixels is its fourth power, while its table of biases is its square."""


def read_dcm_config(state_dict: dict[str, Tensor]) -> DcmConfig:
    """Read the configuration off a checkpoint (keys as in ``Dcm``, no prefix).

    Raises:
        LookupError, ValueError, SettingError: a tensor that tells a size is missing, or tells what cannot be.
    """
    block = "layers.0.residual_group.blocks."
    table = state_dict[f"{block}0.attn.relative_position_bias_table"]
    hidden, channels = state_dict[f"{block}0.mlp.fc1.weight"].shape
    window = (round(table.shape[0] ** 0.5) + 1) // 2
    if window > _WIDEST_WINDOW:
        raise ValueError(f"windows of {window} pixels")
    return DcmConfig(
        channels=channels,
        groups=len({key.split(".")[1] for key in state_dict if key.startswith("layers.")}),
        depth=len({key[len(block) :].split(".")[0] for key in state_dict if key.startswith(block)}),
        heads=table.shape[1],
        window=window,
        mlp_ratio=hidden / channels,
        upsampler="pixelshuffle" if "conv_last.weight" in state_dict else "direct",
        skip="bicubic" if _SKIP in state_dict else "none",
    )


class _Group(nn.Module):
    """RSTB: blocks, a convolution, and the group's input added."""

    def __init__(self, config: DcmConfig) -> None:
        super().__init__()
        blocks = nn.ModuleList(_Block(config, shift=config.window // 2 * (i % 2)) for i in range(config.depth))
        self.residual_group = nn.ModuleDict({"blocks": blocks})
        self.conv = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor, grid: _Grid) -> Tensor:
        """(N,H,W,C) -> (N,H,W,C)."""
        before = x
        for block in self.residual_group["blocks"]:  # type: ignore[attr-defined]
            x = block(x, grid)
        x = self.conv(x.permute(0, 3, 1, 2))  # (N,H,W,C) -> (N,C,H,W)
        return before + x.permute(0, 2, 3, 1)  # (N,C,H,W) -> (N,H,W,C)


class _Block(nn.Module):
    """STL: attention within windows and two linear layers, each behind a norm and with its input added."""

    def __init__(self, config: DcmConfig, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1, self.norm2 = nn.LayerNorm(config.channels), nn.LayerNorm(config.channels)
        self.attn = _WindowAttention(config)
        hidden = round(config.channels * config.mlp_ratio)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(config.channels, hidden), "fc2": nn.Linear(hidden, config.channels)})

    def forward(self, x: Tensor, grid: _Grid) -> Tensor:
        """(N,H,W,C) -> (N,H,W,C)."""
        normed = self.norm1(x)
        if self.shift:
            turned = normed.roll((-self.shift, -self.shift), (1, 2))
            x = x + self.attn(turned, grid, shifted=True).roll((self.shift, self.shift), (1, 2))
        else:
            x = x + self.attn(normed, grid, shifted=False)
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class _WindowAttention(nn.Module):
    """softmax(q k^T / sqrt(d) + bias) v within every window; the bias knows how far apart two pixels are."""

    def __init__(self, config: DcmConfig) -> None:
        super().__init__()
        self.heads, self.window = config.heads, config.window
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * config.window - 1) ** 2, config.heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.qkv = nn.Linear(config.channels, 3 * config.channels)
        self.proj = nn.Linear(config.channels, config.channels)

    def forward(self, x: Tensor, grid: _Grid, shifted: bool) -> Tensor:
        """(N,H,W,C), H and W multiples of the window -> the same."""
        rows, columns, side = x.shape[1] // self.window, x.shape[2] // self.window, self.window
        q, k, v = rearrange(
            self.qkv(x), "n (i a) (j b) (three m d) -> three n (i j m) (a b) d", three=3, m=self.heads, a=side, b=side
        )
        bias = self.relative_position_bias_table[grid.offsets].permute(2, 0, 1)  # (L,L,heads) -> (heads,L,L)
        mask = bias + grid.border if shifted else bias.expand(rows * columns, -1, -1, -1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype).flatten(0, 1))
        return self.proj(rearrange(out, "n (i j m) (a b) d -> n (i a) (j b) (m d)", i=rows, j=columns, a=side, b=side))


def _doubling() -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2)


def _cut(features: Tensor, window: int) -> _Grid:
    """The grid of features (N,C,H,W), whose sides are multiples of the window."""
    h, w = features.shape[-2:]
    place = torch.arange(window, device=features.device)
    y, x = (axis.flatten() for axis in torch.meshgrid(place, place, indexing="ij"))
    span = 2 * window - 1
    offsets = (y[:, None] - y + window - 1) * span + x[:, None] - x + window - 1
    parts = _parts(h, window, features.device)[:, None] * 3 + _parts(w, window, features.device)
    windows = rearrange(parts, "(i a) (j b) -> (i j) (a b)", a=window, b=window)
    apart = windows[:, None, :, None] != windows[:, None, None, :]  # (windows,1,L,L)
    return _Grid(offsets, torch.zeros(apart.shape, device=features.device).masked_fill(apart, float("-inf")))


def _parts(side: int, window: int, device: torch.device) -> Tensor:
    """What a rolled side is made of: 0 whole windows, 1 and 2 the two ends that meet in the last one."""
    place = torch.arange(side, device=device)
    return (place >= side - window).long() + (place >= side - window // 2).long()
