"""Flow networks: the shipped one, and those on the user's disk."""

import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open
from torch import nn

from ...models.catalog import SUFFIXES, find_weights
from ...models.registry import RAFTS, load_network
from ...models.spynet import SPyNet
from ..errors import WeightsNotFoundError

SHIPPED_FLOW = "SPyNet (shipped)"

_LIKELY = re.compile(r"raft|flow|mgld", re.IGNORECASE)
_HOLDER, _PREFIX = "textovsr-base", "basicvsr.spynet."


def list_flow_nets(folders: Sequence[Path]) -> list[str]:
    """Names to choose from: the shipped one, then files in ``folders``, relative to them.

    Of these, such as say RAFT, flow or MGLD, or lie in a folder that does.
    """
    found = {
        path.relative_to(folder).as_posix()
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES
        and _LIKELY.search(f"{folder.name}/{path.relative_to(folder).as_posix()}")
        and path.is_file()
    }
    return [SHIPPED_FLOW, *sorted(found)]


def find_flow_net(name: str, folders: Sequence[Path]) -> Path | None:
    """The file behind a name from ``list_flow_nets``; None for the shipped one.

    Raises:
        WeightsNotFoundError: nothing has that name.
    """
    if name == SHIPPED_FLOW:
        return None
    names = list_flow_nets(folders)
    if name not in names:
        raise WeightsNotFoundError(
            f"Expected a flow network named {' or '.join(names)}, got {name!r}; choose one of these, or put the file "
            f"into {', '.join(map(str, folders)) or 'one of the folders'}."
        )
    return find_weights(name, folders)


def load_flow_net(path: Path | None) -> nn.Module:
    """A flow network on the CPU.

    Args:
        path: a RAFT, large or small, of torchvision or its authors, or MGLD-VSR's checkpoint that holds one; None is
            the SPyNet that is shipped.

    Raises:
        WeightsError: see ``models.registry.load_network`` and ``load_spynet``.
    """
    return load_spynet() if path is None else load_network(path, RAFTS)


def load_spynet() -> SPyNet:
    """The optical flow of the shipped weights, on the CPU; nothing of the rest is read.

    It is that of textovsr-base, which finds a shift to a twentieth of a pixel; that of textovsr-lite learnt to serve
    its own upscaler, and is off by about one.

    Raises:
        DamagedWeightsError: the file is not the one that was shipped.
    """
    with safe_open(find_weights(_HOLDER, []), framework="pt") as file:
        keys = [key for key in file.keys() if key.startswith(_PREFIX)]  # noqa: SIM118 - not a mapping
        state = {key.removeprefix(_PREFIX): file.get_tensor(key).float() for key in keys}
    network = SPyNet(levels=len({key.split(".")[1] for key in state if key.startswith("basic_module.")}))
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
