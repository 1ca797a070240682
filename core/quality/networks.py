"""The networks that a report runs, and where they come from: the disk, or a host that manages memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open

from ...models.catalog import SHIPPED, find_weights
from ...models.spynet import SPyNet
from .clip_files import AUTOMATIC, find_clip
from .clip_iqa import ClipIqa, load_clip_iqa

_FLOW = "basicvsr.spynet."

Size = tuple[int, int]
"""Width and height in pixels."""


class Networks(Protocol):
    """Gives a report its networks, ready on their device; each is asked for once, if a measure needs it."""

    def flow_net(self, size: Size) -> SPyNet:
        """The optical flow, for frames of a size; it is found at ``FLOW_SIDE`` or less.

        Raises:
            DamagedWeightsError: the file is not the one that was shipped.
        """

    def clip_iqa(self, size: Size) -> ClipIqa:
        """CLIP-IQA with the paper's prompts, for frames of a size.

        Raises:
            WeightsError: the weights are not on this machine, or damaged, or no CLIP with a ResNet.
            MissingDependencyError: open_clip is not installed.
        """


@dataclass(frozen=True)
class LoadedNetworks:
    """Networks read from the disk onto a device.

    Attributes:
        device: where they run.
        clip: a name from ``clip_files.list_clips``, or ``automatic``.
        clip_folders: where CLIP files are looked for.
    """

    device: torch.device
    clip: str = AUTOMATIC
    clip_folders: Sequence[Path] = ()

    def flow_net(self, size: Size) -> SPyNet:
        """See ``Networks``."""
        return load_flow_net().to(self.device)

    def clip_iqa(self, size: Size) -> ClipIqa:
        """See ``Networks``."""
        return load_clip_iqa(find_clip(self.clip, self.clip_folders)).to(self.device)


def load_flow_net() -> SPyNet:
    """The optical flow of the shipped weights, on the CPU; nothing of the rest is read, nor imported.

    Raises:
        DamagedWeightsError: the file is not the one that was shipped.
    """
    with safe_open(find_weights(SHIPPED[0].name, []), framework="pt") as file:
        state = {key[len(_FLOW) :]: file.get_tensor(key).float() for key in file.keys() if key.startswith(_FLOW)}  # noqa: SIM118
    network = SPyNet(levels=len({key.split(".")[1] for key in state if key.startswith("basic_module.")}))
    network.load_state_dict(state)
    return network.eval()
