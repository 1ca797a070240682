"""What the diffusion systems need: files that their authors publish and that are too large to ship. Data, no code.

Facts are from the pages named here; the address of a file is put together from its page and its name, and could not be
tried out. What no page says, a size or a hash, is left unknown: the server is asked before a download.
"""

from .diffvsr import DIFFVSR
from .mgld import MGLD
from .needed import Licence, Needed, Place, System, choices
from .sdatc import SDATC
from .shared import FLOW, TEXT_ENCODER, TEXT_REPOSITORIES
from .star import STAR, STAR_COGVIDEOX

SYSTEMS = (MGLD, DIFFVSR, STAR, STAR_COGVIDEOX, SDATC)

__all__ = [
    "DIFFVSR",
    "FLOW",
    "MGLD",
    "SDATC",
    "STAR",
    "STAR_COGVIDEOX",
    "SYSTEMS",
    "TEXT_ENCODER",
    "TEXT_REPOSITORIES",
    "Licence",
    "Needed",
    "Place",
    "System",
    "choices",
]
