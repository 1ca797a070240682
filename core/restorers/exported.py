"""An exported network as a streaming restorer: TextOVSR's, on the CPU whatever else there is."""

import logging
from dataclasses import replace
from functools import cached_property

import torch

from ...models.exported import ExportedTextOVSR
from ..config import RecurrentConfig
from ..device import memory_budget
from ..export.compiled import compile_network
from ..windows import WindowPlan
from .memory import Costs, plan_memory
from .text_ovsr import TextOVSRRestorer

log = logging.getLogger(__name__)

_CPU = torch.device("cpu")
_TILE = 256
"""The quickest side of a reconstruction tile: bytes fit the caches where floats need smaller tiles."""


class ExportedRestorer(TextOVSRRestorer):
    """Streams clips through an exported network.

    Args:
        exported: what ``load_exported`` returned.
        config: windows, tiles and cleaning; zeros are chosen by ``memory``. The file decides the precision.
        device: where other networks would run; this one runs on the CPU.
        memory: bytes that may be used on that device.

    Raises:
        MissingDependencyError: there is no OpenVINO.
    """

    def __init__(self, exported: ExportedTextOVSR, config: RecurrentConfig, device: torch.device, memory: int) -> None:
        if device.type != "cpu":
            log.warning("Exported weights run on the CPU, not on %s; others would use it.", device)
            memory = memory_budget(_CPU)
        config = replace(config, precision="float32", speedup="none")
        super().__init__(compile_network(exported), config, _CPU, memory)
        self._exported = exported

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``: a hash of the file, and the settings that change the picture."""
        settings = replace(self.config, window=0, tile=0)
        return f"exported {self._exported.digest} {settings}"

    def plan(self, height: int, width: int) -> WindowPlan:
        """See ``TextOVSRRestorer.plan``."""
        channels = self.network.config.channels
        return plan_memory(channels, (height, width), self.memory, self.config, Costs(tile=_TILE))
