"""What can be asked of a degradation; imports nothing heavy."""

from dataclasses import dataclass

from ..errors import SettingError

PRESETS = (
    "random",
    "light",
    "VHS",
    "DV tape",
    "old film",
    "phone messenger",
    "webcam",
    "low-bitrate stream",
)
"""The kinds of footage; ``random`` and ``light`` are the chains that the networks are trained with."""

SCALES = (1, 4)
"""How much smaller the result may be than the video."""


@dataclass(frozen=True)
class DegradeConfig:
    """What is asked for.

    Attributes:
        preset: one of ``PRESETS``.
        seed: decides every parameter and all noise; 0 to 2^63 - 1.
        scale: how much smaller the result is: 1, or 4 for training pairs.
        drift: octaves by which strengths wander over the clip, 0 (constant) to 1 (from half to double).

    Raises:
        SettingError: one of them is out of range.
    """

    preset: str = "random"
    seed: int = 0
    scale: int = 1
    drift: float = 0.0

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise SettingError(f"Expected a preset out of {', '.join(PRESETS)}, got {self.preset!r}; choose one.")
        if self.scale not in SCALES:
            raise SettingError(f"Expected a scale of {' or '.join(map(str, SCALES))}, got {self.scale}; choose one.")
        if not 0 <= self.seed < 2**63:
            raise SettingError(f"Expected a seed of at least 0 and below 2^63, got {self.seed}; choose another.")
        if not 0 <= self.drift <= 1:
            raise SettingError(f"Expected a drift of 0 to 1, got {self.drift}; 1 is from half to double the strength.")
