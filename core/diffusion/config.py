"""What can be asked of diffusion over a clip; imports nothing heavy."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import SettingError

GuidanceForm = Literal["reference", "corrected"]
"""The comparisons of neighbouring frames: as MGLD-VSR published them in code, or with the flow that belongs to them."""

LevelMode = Literal["fast", "normal"]
"""``normal``: timesteps evenly spread; ``fast``: fewer of the noisiest."""

LEVEL_MODES: tuple[LevelMode, ...] = get_args(LevelMode)

GUIDANCE_SCALE = 1.0
"""Corrected steps at every step of the sampler while the detail is still a guess."""

PUBLISHED_SCALE = 10.0
"""The published factor of the reference form."""

DETAIL_DEVIATION = 0.1
"""Deviation of the finest detail of latents of unit variance: noise below it no longer decides what is seen."""

DETAIL_GAIN = 1.5
"""Most by which the detail that agrees is raised for the detail that was removed."""

DETAIL_POWER = 1.5
"""Power of the detail's loss that it is raised by, see ``guidance.guided``; chosen by benchmarks/consistency.py."""

LENGTH, OVERLAP = 16, 4
"""Frames that are sampled together, and frames that neighbouring windows share."""

CHUNK = 8
"""Pairs of frames compared at a time."""


@dataclass(frozen=True)
class GuidanceConfig:
    """How latents are guided by the motion.

    Attributes:
        form: which comparisons, see ``GuidanceForm``.
        scale: 0 (nothing) and more. Corrected: the number of steps down the warping error, where 1 removes all of what
            alternates from frame to frame; reference: the factor of the gradient, published as 10.
        keep_detail: raise the detail that is left to the strength of what was there; corrected only.
        chunk: pairs of frames compared at a time; the result is the same, the memory is not.

    Raises:
        SettingError: one of them is out of range.
    """

    form: GuidanceForm = "corrected"
    scale: float = GUIDANCE_SCALE
    keep_detail: bool = True
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        if self.form not in ("reference", "corrected"):
            raise SettingError(f"Expected the form reference or corrected, got {self.form!r}.")
        if not (self.scale >= 0 and math.isfinite(self.scale)):
            raise SettingError(f"Expected a guidance scale of 0 or more, got {self.scale}.")
        if self.chunk < 1:
            raise SettingError(f"Expected a chunk of 1 pair or more, got {self.chunk}.")
