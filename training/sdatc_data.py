"""SDATC's clips: those of the other networks, spoilt in its own way, and told nothing."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.degrade.operation import Operation
from ..models.sdatc.dcm import Dcm
from .data import ClipDataset, Sample
from .material import Material
from .sdatc_config import SdatcDcmConfig, SdatcStage1Config, SdatcStage2Config
from .sdatc_degradation import sample_compression
from .validation import SEED, Validation

SdatcConfig = SdatcDcmConfig | SdatcStage1Config | SdatcStage2Config


class CompressedClips(ClipDataset):
    """Endless random clips; see ``ClipDataset``.

    Args:
        material: what to draw from.
        config: of the run.
        seed: of the whole sequence.
    """

    def __init__(self, material: Material, config: SdatcConfig, seed: int = 0) -> None:
        super().__init__(material, config.clips, seed)
        self.compression = config.compression

    def _chain(self, rng: np.random.Generator) -> list[Operation]:
        return sample_compression((self.config.size, self.config.size), self.compression, rng)


class DcmValidation(Validation):
    """Looks at what a DCM makes of clips that are held back; the net is one, or has one as ``dcm``."""

    def _dataset(self) -> ClipDataset:
        return CompressedClips(self.material, self.config, SEED)  # type: ignore[arg-type]

    def _restore(self, net: Dcm, sample: Sample) -> Tensor:
        dcm = getattr(net, "dcm", net)
        return torch.cat([dcm(frame.to(self.device)).float().clamp(0, 1).cpu() for frame in sample.lr.split(1)])


def frames_of(clips: Tensor) -> Tensor:
    """(B,T,3,H,W) -> (B*T,3,H,W)."""
    return clips.flatten(0, 1)


def parameter_groups(parameters: Sequence[torch.nn.Parameter], rate: float) -> list[dict[str, object]]:
    """One group for an optimiser, as ``Run`` wants it."""
    return [{"params": list(parameters), "peak": rate, "frozen": 0}]
