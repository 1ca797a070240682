"""What a network's weights are before its training: random, or taken over from a trained BasicVSR."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..models.text_ovsr import ResidualBlocks, TextOVSR

RESIDUAL_SCALE = 0.1
"""Residual branches and output layers begin this small, so that a new network begins as bilinear interpolation."""

_DIRECTIONS = ("backward", "forward")
_SAME = {
    "fusion": "fusion",
    "upconv1": "upsample1.upsample_conv",
    "upconv2": "upsample2.upsample_conv",
    "conv_hr": "conv_hr",
    "conv_last": "conv_last",
}
"""BasicVSR's layers that TextOVSR has too, and their names there."""


def initialise(net: TextOVSR, checkpoint: Path | None = None) -> None:
    """Set up the weights of a network that is to be trained.

    With a checkpoint of BasicVSR (BasicSR's layout) SPyNet is taken from it. A network of as many channels also takes
    over its recurrence and reconstruction and begins as that BasicVSR, with fewer blocks where it has fewer: the
    features are the frame itself, cleaning and text change nothing yet.

    Args:
        net: freshly built.
        checkpoint: a ``.pth`` of BasicVSR.
    """
    for name, parameter in net.named_parameters():
        if "conv2.weight" in name or name.endswith(("conv_last.weight", "image_cleaning.1.weight")):
            parameter.data.mul_(RESIDUAL_SCALE)
    torch.nn.init.zeros_(net.image_cleaning[1].bias)
    if checkpoint is None:
        return
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = state.get("params", state)
    flow = basicvsr_flow(state)
    net.basicvsr.spynet.load_state_dict({key: flow[key] for key in net.basicvsr.spynet.state_dict()})
    if "fusion.bias" in state and state["fusion.bias"].shape[0] == net.config.channels:
        _take_over(net, state)


def basicvsr_flow(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """SPyNet's weights from a BasicSR checkpoint, whose convolutions stand at every second place and have no name."""

    def renamed(key: str) -> str:
        return re.sub(r"(basic_module\.\d+\.basic_module)\.(\d+)", lambda m: f"{m[1]}.{int(m[2]) // 2}.conv", key)

    return {renamed(key.removeprefix("spynet.")): value for key, value in state.items() if key.startswith("spynet.")}


@torch.no_grad()
def _take_over(net: TextOVSR, state: dict[str, Tensor]) -> None:
    core: Any = net.basicvsr
    own = core.state_dict()
    for theirs, ours in _SAME.items():
        for part in ("weight", "bias"):
            own[f"{ours}.{part}"].copy_(state[f"{theirs}.{part}"])
    for direction in _DIRECTIONS:
        _take_blocks(getattr(core, f"{direction}_resblocks_layer10_po"), state, f"{direction}_trunk.main", share=0.5)
        if net.config.negative:
            _take_blocks(getattr(core, f"{direction}_resblocks_layer10"), state, f"{direction}_trunk.main", share=1.0)
    for index in (0, 2):  # the first three features are the frame's own colours
        weight = core.frame_extractor[index].weight
        weight[:3].zero_()
        core.frame_extractor[index].bias[:3].zero_()
        weight[range(3), range(3), 1, 1] = 1.0
    torch.nn.init.zeros_(core.backward_cross_attn.proj_out.weight)
    torch.nn.init.zeros_(core.backward_cross_attn.proj_out.bias)


def _take_blocks(blocks: ResidualBlocks, state: dict[str, Tensor], prefix: str, share: float) -> None:
    """Copy a trunk; its input is the frame and the state, where ours is features (twice the frame, DRF adding one)."""
    theirs: Any = state[f"{prefix}.0.weight"]
    first, channels = blocks.main[0], theirs.shape[0]
    first.weight.mul_(RESIDUAL_SCALE)
    first.weight[:, :3] = theirs[:, :3] * share
    first.weight[:, -channels:] = theirs[:, -channels:]
    first.bias.copy_(state[f"{prefix}.0.bias"])
    for index, block in enumerate(blocks.main[2]):
        block.load_state_dict(
            {key: state[f"{prefix}.2.{index}.{key}"] for key in block.state_dict()}  # the first ones; the rest go
        )
