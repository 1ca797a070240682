"""How much room on the disk a job will need, and whether it is there."""

import shutil
from pathlib import Path

from .config import EncodeConfig
from .errors import DiskFullError

_BITS_PER_PIXEL = {"h264": 0.2, "hevc": 0.15, "av1": 0.08, "prores": 4.0, "ffv1": 2.5, "png": 6.0}
"""At CRF 16 where the codec has one. Measured at 1280x720 of the bundled phone clip restored by textovsr-lite: 0.06,
0.04, 0.03, 2.8, 1.3 and 3.3; of detailed, noisy footage: 0.4, 0.4, 0.2, 5.9, 4.9 and 10.4."""

_CRF_OF_TABLE = 16
_CRF_STEPS_TO_HALF = 6


def estimate_bytes(width: int, height: int, frames: int, encode: EncodeConfig) -> int:
    """Estimate the size of a restored video from the size of its frames; good to a factor of about three."""
    bits = _BITS_PER_PIXEL[encode.codec]
    if encode.codec in ("h264", "hevc", "av1"):
        bits *= 2 ** ((_CRF_OF_TABLE - encode.crf) / _CRF_STEPS_TO_HALF)
    return round(width * height * frames * bits / 8)


def check_space(folder: Path, needed: int) -> None:
    """Check that a disk has room.

    Args:
        folder: a folder on the disk.
        needed: bytes.

    Raises:
        DiskFullError: there is less.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"Expected {readable(needed)} free in {folder} (an estimate), found {readable(free)}; free some space, "
            "choose an output on another disk, or a codec or CRF that needs less."
        )


def readable(size: float) -> str:
    """A number of bytes for people: ``3.2 GB``."""
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
