"""Reading back what was written, by PyAV alone."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

needs_pyav_18 = pytest.mark.skipif(not hasattr(av.VideoFrame, "metadata"), reason="shown by PyAV 18.1 and later only")


def decoded(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time in seconds and samples of every frame."""
    with av.open(str(path)) as container:
        return [(f.pts * f.time_base, f.to_ndarray().tobytes()) for f in container.decode(video=0)]


def packets(path: Path, kind: str = "audio") -> list[bytes]:
    """The packets of the first stream of a kind."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(getattr(container.streams, kind)[0]) if packet.size]
