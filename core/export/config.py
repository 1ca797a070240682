"""How a network is exported, and what came of it: plain data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config import FIDELITY

LEAST_FRAMES, MOST_FRAMES = 2, 8
"""Of each bundled clip: there is no motion in one, and the shorter clip has 16, half of which it is judged by."""

Precision = Literal["int8", "fp16", "fp32"]


@dataclass(frozen=True)
class ExportConfig:
    """How a network is exported.

    Attributes:
        precision: int8 computes most convolutions in 8 bits; fp16 and fp32 only say how the weights are stored.
        fidelity: between the two ends of the weights; see ``load_dialled``.
        frames: of each clip that it is calibrated with and judged by, 2 to 8.
        seed: of what is done to these clips.
        most_loss: decibels of PSNR-Y that may be lost; with more, nothing is written.
    """

    precision: Precision = "int8"
    fidelity: float = FIDELITY
    frames: int = 8
    seed: int = 0
    most_loss: float = 0.1


@dataclass(frozen=True)
class Exported:
    """The outcome.

    Attributes:
        path: the file.
        precision: see ``ExportConfig``.
        bytes: its size.
        layers: convolutions in 8 bits.
        loss: decibels of PSNR-Y lost against the truth, the mean of the clips; negative if something was gained.
        worst_loss: of the clip that lost most.
        difference: PSNR-Y in decibels between both networks' results, the least of the clips.
    """

    path: Path
    precision: Precision
    bytes: int
    layers: int
    loss: float
    worst_loss: float
    difference: float
