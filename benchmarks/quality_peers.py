"""The networks that ours is compared with, as plain modules: two of Real-ESRGAN, stored for ncnn, and BasicVSR."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from quality_packages import ANIMEVIDEO, BASICVSR, X4PLUS, obtain
from torch import Tensor, nn

from textovsr.models.spynet import SPyNet
from textovsr.models.text_ovsr import ResidualBlocks, propagate
from textovsr.training.initial import basicvsr_flow

_HALF = 0x01306B47
"""ncnn's mark of weights in half precision, each layer's padded to four bytes."""


class AnimeVideo(nn.Module):
    """realesr-animevideov3: 18 convolutions at the small size, the picture's nearest neighbours added at the end."""

    def __init__(self, channels: int = 64, body: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.PReLU(channels)]
        for _ in range(body):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels)]
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, 48, 3, padding=1), nn.PixelShuffle(4))

    def forward(self, x: Tensor) -> Tensor:
        """(N,3,H,W) -> (N,3,4H,4W)."""
        return self.body(x) + F.interpolate(x, scale_factor=4, mode="nearest")


class _Dense(nn.Module):
    """Five convolutions, each of all before it; a fifth of the last is added to the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        widths = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(channels + i * growth, width, 3, padding=1) for i, width in enumerate(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        found = [x]
        for conv in list(self.convs)[:-1]:
            found.append(F.leaky_relu(conv(torch.cat(found, dim=1)), 0.2))
        return x + 0.2 * self.convs[-1](torch.cat(found, dim=1))


class _Triple(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_Dense(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.blocks(x)


class X4Plus(nn.Module):
    """realesrgan-x4plus: 23 residual-in-residual dense blocks (ESRGAN's generator)."""

    def __init__(self, channels: int = 64, growth: int = 32, blocks: int = 23) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(_Triple(channels, growth) for _ in range(blocks)))
        self.after = nn.Conv2d(channels, channels, 3, padding=1)
        self.up = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,3,H,W) -> (N,3,4H,4W)."""
        x = self.first(x)
        x = x + self.after(self.body(x))
        for conv in self.up:
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.last(F.leaky_relu(self.hr(x), 0.2))


class BasicVSR(nn.Module):
    """BasicVSR of 30 blocks a direction, made of our own network's parts."""

    def __init__(self, blocks: int = 30) -> None:
        super().__init__()
        self.spynet = SPyNet()
        self.backward_trunk = ResidualBlocks(67, 64, blocks)
        self.forward_trunk = ResidualBlocks(67, 64, blocks)
        self.fusion = nn.Conv2d(128, 64, 1)
        self.upconv1 = nn.Conv2d(64, 256, 3, padding=1)
        self.upconv2 = nn.Conv2d(64, 256, 3, padding=1)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, clip: Tensor) -> Tensor:
        """A whole clip (T,3,H,W) -> (T,3,4H,4W)."""
        frames = list(clip.split(1))
        backward = self._walk(self.backward_trunk, frames[::-1])[::-1]
        forward = self._walk(self.forward_trunk, frames)
        return torch.cat([self._frame(*parts) for parts in zip(backward, forward, frames, strict=True)])

    def _walk(self, trunk: ResidualBlocks, frames: list[Tensor]) -> list[Tensor]:
        states = [propagate(trunk, frames[0], None, None)]
        for before, frame in pairwise(frames):
            states.append(propagate(trunk, frame, states[-1], self.spynet(frame, before)))
        return states

    def _frame(self, backward: Tensor, forward: Tensor, frame: Tensor) -> Tensor:
        x = F.leaky_relu(self.fusion(torch.cat([backward, forward], dim=1)), 0.1)
        for conv in (self.upconv1, self.upconv2):
            x = F.leaky_relu(F.pixel_shuffle(conv(x), 2), 0.1)
        x = self.conv_last(F.leaky_relu(self.conv_hr(x), 0.1))
        return x + F.interpolate(frame, scale_factor=4, mode="bilinear", align_corners=False)


def read_ncnn(param: Path, weights: Path) -> Iterator[tuple[str, Tensor]]:
    """The weights of an ncnn network in the order of its layers, as ("weight" or "bias", flat values).

    Raises:
        ValueError: a layer holds weights in a way that is not known here, or the two files do not fit.
    """
    data, at = weights.read_bytes(), 0
    for line in param.read_text("utf-8").splitlines()[2:]:
        kind, _, inputs, outputs, *words = line.split()
        numbers = dict(word.split("=") for word in words[int(inputs) + int(outputs) :])
        if kind == "Convolution":
            mark, at = int.from_bytes(data[at : at + 4], "little"), at + 4
            if mark not in (0, _HALF):
                raise ValueError(f"Expected weights of 16 or 32 bits, got the mark {mark:#x} in {weights.name}.")
            count = int(numbers["6"])
            yield "weight", _values(data, at, count, "<f2" if mark else "<f4")
            at += -(-2 * count // 4) * 4 if mark else 4 * count
        if kind == "PReLU" or (kind == "Convolution" and numbers.get("5") == "1"):
            count = int(numbers["0"])
            yield ("bias" if kind == "Convolution" else "weight"), _values(data, at, count, "<f4")
            at += 4 * count
    if at != len(data):
        raise ValueError(f"Expected {at} bytes of weights by {param.name}, got {len(data)} in {weights.name}.")


def _values(data: bytes, at: int, count: int, form: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(data, form, count, at).astype(np.float32))


def fill(network: nn.Module, stored: Iterator[tuple[str, Tensor]]) -> nn.Module:
    """Put weights into a network whose modules stand in the order that they are used in; each has to fit."""
    own = network.state_dict()
    for (name, tensor), (kind, values) in zip(own.items(), stored, strict=True):
        if name.rpartition(".")[2] != kind:
            raise ValueError(f"Expected {name} next, got a {kind}; the networks differ.")
        tensor.copy_(values.view(tensor.shape))
    return network.eval().requires_grad_(False)


def load_ncnn(make: Callable[[], nn.Module], cache: Path) -> nn.Module:
    """``AnimeVideo`` or ``X4Plus`` with its published weights."""
    param, weights = (obtain(member, cache) for member in (ANIMEVIDEO if make is AnimeVideo else X4PLUS))
    return fill(make(), read_ncnn(param, weights))


def load_basicvsr(cache: Path) -> BasicVSR:
    """BasicVSR as trained on REDS."""
    state: dict[str, Any] = torch.load(obtain(BASICVSR, cache), map_location="cpu", weights_only=True)["params"]
    network = BasicVSR()
    flow = {f"spynet.{key}": value for key, value in basicvsr_flow(state).items()}
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("spynet.")} | flow)
    return network.eval().requires_grad_(False)
