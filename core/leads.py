"""How many frames before a place in a shot must be restored for what is carried there, where nobody has kept it."""

from .restorer import Restorer
from .restorers.dcm import DcmRestorer
from .restorers.system_restorer import SystemRestorer
from .restorers.text_ovsr import TextOVSRRestorer
from .windows import WindowPlan

RECURRENT_LEAD = 16
"""Frames after which a forward state that began as nothing is as good as the carried one; docs/cluster.md shows it."""

DIFFUSION_LEAD = 2
"""Windows of a diffusion system that stand in for all before: the last one's latents, and what its decoder looks at."""

ALWAYS_ONCE = 255.0
"""The cleaning threshold from which the first window of a shot decides nothing for the others."""


def lead_frames(restorer: Restorer, plan: WindowPlan, in_shot: int, wanted: int | None = None) -> int:
    """Frames to restore, and throw away, before frame ``in_shot`` of a shot.

    They are whole windows of ``plan``, counted from there backwards, or the whole shot so far, with which nothing
    differs. That is also what an unknown system gets, and a recurrent network whose cleaning the first window decides.

    Args:
        restorer: the restoration system.
        plan: its windows.
        in_shot: frames of the shot before the place.
        wanted: at least so many frames, the shot permitting; None is what the system needs; -1 is the whole shot.
    """
    frames = _needed(restorer, plan) if wanted is None else wanted
    if frames is None or frames < 0:
        return in_shot
    windows = -(-frames // plan.length)
    return min(windows * plan.length, in_shot)


def _needed(restorer: Restorer, plan: WindowPlan) -> int | None:
    if isinstance(restorer, DcmRestorer):
        return 0
    if isinstance(restorer, SystemRestorer):
        return DIFFUSION_LEAD * plan.length
    if isinstance(restorer, TextOVSRRestorer) and restorer.config.cleaning_threshold >= ALWAYS_ONCE:
        return RECURRENT_LEAD
    return None
