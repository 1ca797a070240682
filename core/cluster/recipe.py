"""How a worker makes its restorer: plain data that travels, and the files that it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from ...models.catalog import detail_end
from ...models.exported import is_exported
from ..config import FIDELITY, RecurrentConfig
from ..device import memory_budget
from ..restorer import Restorer
from ..restorers.settings import DiffusionSettings


class Recipe(Protocol):
    """What a restorer is made of; it can be pickled."""

    @property
    def files(self) -> Sequence[Path]:
        """The files that it is made from, where this machine has them."""

    @property
    def on_processors(self) -> bool:
        """Whether it computes on processors, whatever else there is."""

    def make(self, files: Sequence[Path], device: torch.device) -> Restorer:
        """The restorer.

        Args:
            files: in the order of ``files``, where the worker's machine has them; those of one folder are in one folder
                there too, under their own names.
            device: where it computes.
        """


@dataclass(frozen=True)
class RecurrentRecipe:
    """A recurrent network, or SDATC's distortion control.

    Attributes:
        weights: the file.
        config: how it is run.
        fidelity: see ``models.dial.load_dialled``.
    """

    weights: Path
    config: RecurrentConfig = field(default_factory=RecurrentConfig)
    fidelity: float = FIDELITY

    @property
    def files(self) -> Sequence[Path]:
        """See ``Recipe``: the weights, and their other end if it is asked for."""
        other = detail_end(self.weights)
        return [self.weights, *([other] if self.fidelity < 1 and other.is_file() else [])]

    @property
    def on_processors(self) -> bool:
        """See ``Recipe``: exported networks do."""
        return is_exported(self.weights)

    def make(self, files: Sequence[Path], device: torch.device) -> Restorer:
        """See ``Recipe``."""
        from ..restorers.loading import load_restorer

        return load_restorer(files[0], self.config, device, memory_budget(device), self.fidelity)


@dataclass(frozen=True)
class DiffusionRecipe:
    """A diffusion system.

    Attributes:
        system: its name.
        networks: the file of each network by its name, see ``weights.require_files``.
        settings: what the user chose.
    """

    system: str
    networks: Mapping[str, Path]
    settings: DiffusionSettings = field(default_factory=DiffusionSettings)

    @property
    def files(self) -> Sequence[Path]:
        """See ``Recipe``."""
        return list(self.networks.values())

    @property
    def on_processors(self) -> bool:
        """See ``Recipe``."""
        return False

    def make(self, files: Sequence[Path], device: torch.device) -> Restorer:
        """See ``Recipe``."""
        from ..restorers.parts import HeldParts
        from ..restorers.systems import compute_dtype, exact_parts, load_parts, make_diffusion_restorer

        networks = load_parts(self.system, dict(zip(self.networks, files, strict=True)))
        parts = HeldParts(networks, device, compute_dtype(self.system, device), exact_parts(self.system))
        return make_diffusion_restorer(self.system, parts, self.settings, memory_budget(device))
