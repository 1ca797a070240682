"""What users choose of the diffusion systems."""

from dataclasses import dataclass

from ..diffusion.config import LevelMode
from .diffvsr.config import DiffVsrConfig
from .mgld.config import MgldConfig
from .star.config import StarConfig

DIFFUSION_SEGMENT = 8
"""Frames of a segment: each takes long, and a crash loses one segment."""


@dataclass(frozen=True)
class DiffusionSettings:
    """What users choose; what a system does not know it does not look at. "Own" is what the system has by itself.

    Attributes:
        steps: of the sampler; 0 is the system's own number.
        seed: decides all noise.
        motion_guidance: MGLD-VSR, SDATC: how strongly frames are made to agree along the motion, 0 is not at all, -1
            the system's own.
        fidelity: MGLD-VSR, SDATC: how much the input's own features lead the decoder, 0 to 1; -1 is the system's own.
        least_side: MGLD-VSR: pixels of the result that the shorter side is enlarged to while it works, at least.
        cfg: DiffVSR, STAR: how closely to follow the caption; 0 is the system's own.
        noise_level: DiffVSR: of the noise added to the input, 0 to 350; more leaves more to be invented.
        mode: STAR: steps spread ``fast`` or ``normal``.
        overlap: frames that windows share; -1 is the system's own choice.
        tile: side of the denoiser's tiles, in pixels of the result, a multiple of 64; 0 chooses by memory.
        published: do what the published code does, its segments, tiles and slips, instead of what we hold for better.
        options: any other setting of the system by its name, see ``options.with_options``.
    """

    steps: int = 0
    seed: int = 0
    motion_guidance: float = -1.0
    fidelity: float = -1.0
    least_side: int = MgldConfig.least_side
    cfg: float = 0.0
    noise_level: int = DiffVsrConfig.noise_level
    mode: LevelMode = StarConfig.mode
    overlap: int = -1
    tile: int = 0
    published: bool = False
    options: str = ""
