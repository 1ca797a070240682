"""A small network that tells how a piece of video was spoilt.

Most of what gives a degradation away is statistics: how the spectrum falls, how low the quietest blocks lie, whether
differences repeat every eight pixels. Those are computed as they are; a few convolutions learn the rest.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import UnknownCheckpointError
from .registry import read_state_dict

FRAMES = 3
"""Neighbouring frames the network sees at once."""

PATCH = 64
"""Side of the patches it was trained on, in pixels."""

KINDS, BORDERS = 5, 3
"""Kinds of degradation, and borders on each one's scale: none | light | medium | heavy."""

_BLOCK = 16
_RINGS = 8
_QUIET = 0.1
_STEPS = (0.5, 1.5, 3.0, 6.0, 12.0)
_PERIODS = (8, 16)
_WIDTHS = (24, 48, 64, 64)
_HIDDEN = 128
_EPS = 1e-7


class DegradationNet(nn.Module):
    """Patches of neighbouring frames -> how much there is of each kind of degradation.

    The keys of its state_dict are ``convolutions.*``, ``features.*`` and ``head.*``; buffers are made, not stored.
    """

    _window: Tensor
    _rings: Tensor

    def __init__(self) -> None:
        super().__init__()
        channels = (FRAMES + 2, *_WIDTHS)
        self.convolutions = nn.ModuleList(
            _stage(channels[i], channels[i + 1], twice=i < 2) for i in range(len(_WIDTHS))
        )
        rings = 2 * _RINGS * (FRAMES + 1)
        grids = 2 * sum(period // 2 for period in _PERIODS)
        count = rings + grids + 2 * len(_STEPS) + 2 * sum(_WIDTHS)
        self.features = nn.BatchNorm1d(count)
        self.head = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(count, _HIDDEN), nn.ReLU(), nn.Dropout(0.1), nn.Linear(_HIDDEN, KINDS * BORDERS)
        )
        self.register_buffer("_window", torch.hann_window(_BLOCK).outer(torch.hann_window(_BLOCK)), persistent=False)
        self.register_buffer("_rings", _ring_weights(), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Judge patches.

        Args:
            patches: (B,FRAMES,3,H,W) RGB in [0,1], sides at least 32; in ``PATCH`` pixels it is at its best.

        Returns:
            (B,KINDS,BORDERS) logits: that there is more of a kind than at each border of its scale.
        """
        luma, blue, red = _planes(patches)
        fixed = torch.cat(
            (
                self._spectra(torch.cat((luma[:, 1:2], luma[:, 1:] - luma[:, :-1], (blue + red)[:, None]), dim=1)),
                _grids(luma[:, FRAMES // 2]),
                _steps(luma),
            ),
            dim=1,
        )
        x = 4.0 * torch.cat((luma - 0.5, blue[:, None], red[:, None]), dim=1)
        found = []
        for index, stage in enumerate(self.convolutions):
            x = stage(F.avg_pool2d(x, 2) if index else x)
            found += [x.mean(dim=(2, 3)), x.var(dim=(2, 3))]
        learned = (torch.cat(found, dim=1) + 1e-3).log()
        return self.head(self.features(torch.cat((fixed, learned), dim=1))).unflatten(1, (KINDS, BORDERS))

    def _spectra(self, planes: Tensor) -> Tensor:
        """Log power by frequency, (B,N,H,W) -> (B,N*2*rings): of all blocks, and of the quietest."""
        blocks = planes.unfold(2, _BLOCK, _BLOCK // 2).unfold(3, _BLOCK, _BLOCK // 2).flatten(2, 3)  # (B,N,K,16,16)
        blocks = blocks - blocks.mean(dim=(3, 4), keepdim=True)
        power = torch.fft.rfft2(blocks * self._window).abs().square()
        rings = power.flatten(3) @ self._rings  # (B,N,K,rings)
        lowest = rings.sort(dim=2).values[:, :, : max(1, round(rings.shape[2] * _QUIET))]
        return torch.cat(((rings.mean(2) + _EPS).log(), (lowest.mean(2) + _EPS).log()), dim=2).flatten(1)


def load_degradation_net(path: Path) -> DegradationNet:
    """Load a checkpoint, every key accounted for; on the CPU, fp32, in eval mode, without gradients.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: the file is truncated or no checkpoint.
        UnknownCheckpointError: the keys or shapes are another network's.
    """
    state_dict = read_state_dict(path)
    network = DegradationNet()
    try:
        network.load_state_dict(state_dict, strict=True)
    except RuntimeError as error:
        raise UnknownCheckpointError(
            f"Expected the estimator of degradations, got {path}, which does not fit: {error}; install the pack again."
        ) from error
    return network.eval().requires_grad_(False)


def _stage(channels: int, width: int, twice: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, width)[: 2 if twice else 1]:
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


def _planes(patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B,T,3,H,W) -> luma (B,T,H,W), and the middle frame's colour differences, (B,H,W) each."""
    red, green, blue = patches.unbind(2)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    middle = patches.shape[1] // 2
    return luma, 0.564 * (blue - luma)[:, middle], 0.713 * (red - luma)[:, middle]


def _ring_weights() -> Tensor:
    """(16*9, rings): which mean over the half plane of frequencies each ring is; the constant is in none."""
    y = torch.fft.fftfreq(_BLOCK)[:, None]
    x = torch.fft.rfftfreq(_BLOCK)[None]
    radius = (y.square() + x.square()).sqrt() / math.sqrt(0.5)  # 0 to 1
    ring = (radius * _RINGS).long().clamp(max=_RINGS - 1).flatten()
    weights = F.one_hot(ring, _RINGS).float()
    weights[0] = 0.0
    return weights / weights.sum(0)


def _grids(luma: Tensor) -> Tensor:
    """How strongly differences of neighbours repeat every 8 and 16 pixels, (B,H,W) -> (B,2*(4+8)), at any phase."""
    found = []
    for plane in (luma, luma.transpose(1, 2)):
        steps = (plane[:, :, 1:] - plane[:, :, :-1]).abs().clamp(max=24 / 255)
        above = steps[:, :, 1:-1] - 0.5 * (steps[:, :, 2:] + steps[:, :, :-2])
        profile = above.mean(1)  # (B,W-3)
        for period in _PERIODS:
            whole = profile[:, : profile.shape[1] // period * period].unflatten(1, (-1, period)).mean(1)
            strength = torch.fft.rfft(whole).abs()[:, 1 : period // 2 + 1]
            found.append((strength / (steps.mean(dim=(1, 2))[:, None] + 1e-3) + 1e-3).log())
    return torch.cat(found, dim=1)


def _steps(luma: Tensor) -> Tensor:
    """Shares of neighbours, in space and in time, that differ by less than a few levels, (B,T,H,W) -> (B,2*5)."""
    across = (luma[..., 1:] - luma[..., :-1]).abs().flatten(1) * 255
    later = (luma[:, 1:] - luma[:, :-1]).abs().flatten(1) * 255
    return torch.stack([(d < step).float().mean(1) for d in (across, later) for step in _STEPS], dim=1)
