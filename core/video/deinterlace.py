"""Whole pictures from fields: FFmpeg's bwdif, a frame out for a frame in, at the same time."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..config import Deinterlace
from .clock import Picture
from .filters import FilterChain, keeps_format, planar
from .report import Ledger
from .scan import Scan

_FILTER = "bwdif"


@dataclass(frozen=True)
class Plan:
    """What to do about fields.

    Attributes:
        options: of the filter; empty to leave frames alone.
        note: what the user is told; empty if there is nothing to tell.
    """

    options: str = ""
    note: str = ""


def plan_deinterlacing(wish: Deinterlace, scan: Scan) -> Plan:
    """Decide what to do: where the picture has not decided but frames are flagged, the flags of each frame decide."""
    if wish == "off" or (wish == "auto" and not scan.combed):
        left = " It is left as it is." if scan.combed else ""
        return Plan(note=scan.sentence and scan.sentence + left)
    parity = {True: "tff", False: "bff", None: "auto"}[scan.top_first]
    which = "all"
    if wish == "auto" and not scan.seen and scan.frames_said:
        which, parity = "interlaced", "auto"
    done = "Frames that are flagged are" if which == "interlaced" else "Every frame is"
    return Plan(
        f"mode=send_frame:parity={parity}:deint={which}", f"{scan.sentence} {done} deinterlaced (bwdif).".strip()
    )


class Deinterlacer:
    """Runs pictures through bwdif.

    Args:
        options: of the filter.
        full_range: whether samples use the full range, needed to unpack packed formats.
        ledger: is told of what could not be done.
    """

    def __init__(self, options: str, *, full_range: bool, ledger: Ledger) -> None:
        self._options, self._full_range, self._ledger = options, full_range, ledger
        self._chain: FilterChain | None = None
        self._waiting: deque[Picture] = deque()

    def run(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """Yield as many pictures as come in, with their own times, one or two late."""
        for picture in pictures:
            frame = planar(picture.frame, full_range=self._full_range)
            if self._chain is not None and not self._chain.takes(frame):
                yield from self._flush()
            if not keeps_format(_FILTER, frame.format.name):
                self._ledger.note(f"Frames in {frame.format.name} are not deinterlaced: the filter cannot read them.")
                yield picture
                continue
            self._chain = self._chain or FilterChain(frame, _FILTER, self._options)
            self._waiting.append(picture)
            for out in self._chain.push(frame):
                yield replace(self._waiting.popleft(), frame=out)
        yield from self._flush()

    def _flush(self) -> Iterator[Picture]:
        if self._chain is not None:
            for out in self._chain.flush():
                yield replace(self._waiting.popleft(), frame=out)
            self._chain = None
        assert not self._waiting, "bwdif yields a frame for every frame"
