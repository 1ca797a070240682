"""From weights to a restorer."""

from pathlib import Path

import torch

from ...models.dial import load_dialled
from ...models.exported import ExportedTextOVSR
from ...models.sdatc.dcm import Dcm
from ...models.text_ovsr import TextOVSR
from ..config import FIDELITY, RecurrentConfig
from ..device import quick_dtype
from ..errors import SettingError
from ..restorer import Restorer
from .dcm import DcmRestorer
from .exported import ExportedRestorer
from .text_ovsr import TextOVSRRestorer


def make_restorer(network: torch.nn.Module, config: RecurrentConfig, device: torch.device, memory: int) -> Restorer:
    """The restorer that runs this network.

    Args:
        network: what ``load_dialled`` returned.
        config: how a recurrent network is run.
        device: where to run it, in ``quick_dtype``; exported networks run on the CPU.
        memory: bytes that may be used beside the weights.

    Raises:
        SettingError: no restorer runs this kind of network.
        MissingDependencyError: it was exported, and there is no OpenVINO.
    """
    if isinstance(network, ExportedTextOVSR):
        return ExportedRestorer(network, config, device, memory)
    dtype = quick_dtype(device)
    if isinstance(network, Dcm):
        return DcmRestorer(network, config, device, memory, dtype)
    if not isinstance(network, TextOVSR):
        raise SettingError(f"Expected a TextOVSR network, got {type(network).__name__}; choose other weights.")
    return TextOVSRRestorer(network, config, device, memory, dtype)


def load_restorer(
    path: Path, config: RecurrentConfig, device: torch.device, memory: int, fidelity: float = FIDELITY
) -> Restorer:
    """Load weights from a file and make their restorer; see ``load_dialled`` and ``make_restorer``."""
    return make_restorer(load_dialled(path, fidelity), config, device, memory)
