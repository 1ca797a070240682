"""A network that takes over a trained BasicVSR begins as that BasicVSR."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.text.encode import tokenize
from textovsr.models.spynet import SPyNet
from textovsr.models.text_ovsr import LITE, TextOVSR
from textovsr.models.warp import warp
from textovsr.training.initial import initialise

CHANNELS, BLOCKS = 8, 3


@pytest.fixture
def checkpoint() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)

    def conv(name: str, outputs: int, inputs: int, side: int = 3) -> dict[str, Tensor]:
        weight = torch.randn(outputs, inputs, side, side, generator=generator) * (inputs * side * side) ** -0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.randn(outputs, generator=generator) * 0.1}

    state = conv("fusion", CHANNELS, 2 * CHANNELS, 1)
    for name in ("upconv1", "upconv2"):
        state |= conv(name, 4 * CHANNELS, CHANNELS)
    state |= conv("conv_hr", CHANNELS, CHANNELS) | conv("conv_last", 3, CHANNELS)
    for direction in ("backward", "forward"):
        state |= conv(f"{direction}_trunk.main.0", CHANNELS, CHANNELS + 3)
        for block in range(BLOCKS):
            for part in ("conv1", "conv2"):
                state |= conv(f"{direction}_trunk.main.2.{block}.{part}", CHANNELS, CHANNELS)
    for key, value in SPyNet(6).state_dict().items():
        if key in ("mean", "std"):
            state[f"spynet.{key}"] = value
        else:
            level, layer, part = key.split(".")[1], int(key.split(".")[3]), key.split(".")[-1]
            state[f"spynet.basic_module.{level}.basic_module.{2 * layer}.{part}"] = value
    return state


def basicvsr(state: dict[str, Tensor], clip: Tensor, flow: SPyNet) -> list[Tensor]:
    """BasicVSR (Chan et al., CVPR 2021), written out for a clip (T,3,H,W)."""

    def conv(x: Tensor, name: str) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def trunk(x: Tensor, direction: str) -> Tensor:
        x = F.leaky_relu(conv(x, f"{direction}_trunk.main.0"), 0.1)
        for block in range(BLOCKS):
            name = f"{direction}_trunk.main.2.{block}"
            x = x + conv(F.relu(conv(x, f"{name}.conv1")), f"{name}.conv2")
        return x

    def states(frames: list[Tensor], direction: str) -> list[Tensor]:
        out: list[Tensor] = []
        for index, frame in enumerate(frames):
            state = frame.new_zeros(1, CHANNELS, *frame.shape[-2:])
            if index:
                state = warp(out[-1], flow(frame, frames[index - 1]))
            out.append(trunk(torch.cat([frame, state], 1), direction))
        return out

    frames = [frame[None] for frame in clip]
    pairs = zip(frames, states(frames[::-1], "backward")[::-1], states(frames, "forward"), strict=True)
    results = []
    for frame, backward, forward in pairs:
        x = F.leaky_relu(conv(torch.cat([backward, forward], 1), "fusion"), 0.1)
        for name in ("upconv1", "upconv2"):
            x = F.leaky_relu(F.pixel_shuffle(conv(x, name), 2), 0.1)
        x = conv(F.leaky_relu(conv(x, "conv_hr"), 0.1), "conv_last")
        results.append(x + F.interpolate(frame, scale_factor=4, mode="bilinear", align_corners=False))
    return results


@torch.no_grad()
def test_it_begins_as_the_basicvsr_it_took_over(checkpoint: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"params": checkpoint}, tmp_path / "basicvsr.pth")
    torch.manual_seed(0)
    net = TextOVSR(replace(LITE, channels=CHANNELS, blocks=BLOCKS, flow_levels=6)).eval()
    initialise(net, tmp_path / "basicvsr.pth")
    clip = torch.rand(3, 3, 64, 72, generator=torch.Generator().manual_seed(1))
    found = net.upscale(clip[None], *tokenize(["heavy noise"] * 3))[0]
    expected = torch.cat(basicvsr(checkpoint, clip, net.basicvsr.spynet))
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)  # the other features begin small, not at zero
    bilinear = F.interpolate(clip, scale_factor=4, mode="bilinear", align_corners=False)
    assert (found - expected).abs().mean() < 0.02 * (expected - bilinear).abs().mean()


@torch.no_grad()
def test_a_network_of_other_width_takes_only_the_flow(checkpoint: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(checkpoint, tmp_path / "basicvsr.pth")
    net = TextOVSR(replace(LITE, channels=16, blocks=1, flow_levels=6))
    fusion = net.basicvsr.fusion.weight.clone()
    initialise(net, tmp_path / "basicvsr.pth")
    level = net.basicvsr.spynet.basic_module[2].basic_module[1].conv.weight
    assert torch.equal(level, checkpoint["spynet.basic_module.2.basic_module.2.weight"])
    assert torch.equal(net.basicvsr.fusion.weight, fusion)
