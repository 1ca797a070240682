"""Defaults and limits of work that is shared out."""

from dataclasses import dataclass

from ..config import DEVICE
from ..errors import SettingError

LOCAL = "local"
"""The address that means: this machine alone, all its graphics cards or cores."""

PIECE_SEGMENTS = 4
"""Segments of a piece, about: fewer are spread more evenly, more need fewer leads and less is decoded twice."""

LEAD_SHARE = 8
"""A piece is at least so many leads long, so that at most an eighth is restored for nothing."""

ATTEMPTS = 3
"""How often a piece, or the start of a worker, may fail before that ends the job."""

CPUS = 4
"""Processors of a worker on machines without graphics cards, at most: more of them help one network little."""

CHUNK = 4 << 20
"""Bytes of a file that travel at once."""

CHUNKS_UNDER_WAY = 4
"""Chunks that may be on their way to one machine."""

REFRESH = 3.0
"""Seconds between two looks for machines that came or went."""

PATIENCE = 120.0
"""Seconds without any worker after which the user is told what is waited for."""

CLOSING = 15.0
"""Seconds that machines are given to clean up."""


@dataclass(frozen=True)
class ClusterConfig:
    """How work is shared out.

    Attributes:
        address: of Ray: ``auto``, ``host:port``, ``ray://host:port``, or ``local`` for this machine alone.
        workers: at most so many; 0 is as many as there are graphics cards, or groups of processors.
        cpus: processors of a worker on machines without graphics cards; 0 chooses.
        device: ``cuda``, ``cpu``, or ``auto``: graphics cards if any machine has one. Which of them, Ray decides.
        lead: frames restored before a part of a shot, for what is carried there: None is what the system needs, -1 the
            whole shot.
        piece: frames that a worker is given at once, about; 0 chooses.
    """

    address: str = LOCAL
    workers: int = 0
    cpus: int = 0
    device: str = DEVICE
    lead: int | None = None
    piece: int = 0

    def __post_init__(self) -> None:
        if self.device not in (DEVICE, "cpu", "cuda"):
            raise SettingError(
                f"Expected {DEVICE}, cpu or cuda for all workers of a cluster, got {self.device!r}; to choose among "
                "graphics cards, set CUDA_VISIBLE_DEVICES where Ray is started."
            )
