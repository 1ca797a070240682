"""The cases of the matrix: which file goes in, which comes out."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np

from textovsr.core.config import EncodeConfig

from .clips import Clip
from .pictures import Look, picture, to_frame

NTSC, PAL, HD, UHD = Look(6, 6, 6), Look(5, 5, 6), Look(1, 1, 1), Look(9, 9, 14)
SMALL = Look(6, 1, 6)
"""The documented guess for small untagged pictures."""

H264 = EncodeConfig("h264", crf=6, preset="ultrafast")
HEVC = EncodeConfig("hevc", crf=6, preset="ultrafast")
AV1 = EncodeConfig("av1", crf=6, preset="ultrafast")
HEVC8, HEVC10 = replace(HEVC, bit_depth=8), replace(HEVC, bit_depth=10)
PRORES = EncodeConfig("prores")
FFV1 = EncodeConfig("ffv1")


@dataclass(frozen=True)
class Case:
    """One file, and what becomes of it.

    Attributes:
        name: what it is about.
        source: name of the file.
        codec: FFmpeg's encoder for it.
        pix_fmt: its samples.
        tags: what it says of its colours; None says nothing.
        look: what its samples mean; None is what ``tags`` say, or the documented guess.
        size: width and height as shown, upright.
        times: ticks of its frames.
        base: seconds a tick.
        rate: frames a second that its header says.
        more: other fields of ``Clip``.
        output: suffix of the result.
        encode: its encoding.
        stored: samples of the result.
        trim: start and duration in seconds.
        scale: times larger.
        segment: frames after which a new segment begins; 0 is one for all.
        tolerance: of a colour, of 255.
    """

    name: str
    source: str
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    tags: Look | None = HD
    look: Look | None = None
    size: tuple[int, int] = (64, 48)
    times: tuple[int, ...] = tuple(range(6))
    base: Fraction = Fraction(1, 25)
    rate: Fraction = Fraction(25)
    more: dict[str, object] = field(default_factory=dict)
    output: str = ".mp4"
    encode: EncodeConfig = H264
    stored: str = "yuv420p"
    trim: tuple[float, float | None] = (0.0, None)
    scale: int = 1
    segment: int = 0
    tolerance: float = 4

    @property
    def meaning(self) -> Look:
        """Of the source's samples: as tagged, else as documented."""
        found = self.look or self.tags
        if found:
            return found
        if self.size[1] >= 720:
            return HD
        return {576: PAL, 480: NTSC}.get(self.size[1], SMALL)

    @property
    def expected(self) -> Look:
        """Of the result's samples: the same; ProRes knows the studio range only."""
        return replace(self.meaning, range=1) if self.encode.codec == "prores" else self.meaning

    @property
    def clock_starts_anywhere(self) -> bool:
        """Whether the times of the source mean something only beside each other."""
        return self.source.endswith((".ts", ".mpg"))

    @property
    def steady(self) -> bool:
        """Whether each frame follows the one before at the rate that the header tells."""
        return {(b - a) * self.base for a, b in pairwise(self.times)} == {1 / self.rate}

    @property
    def clip(self) -> Clip:
        """The source."""
        turned = self.more.get("rotation", 0) in (90, 270)
        width, height = self.size[::-1] if turned else self.size
        tags = self.tags.codes if self.tags else None
        fields = {"draw": self._draw, "tags": tags, "time_base": self.base, "rate": self.rate, **self.more}
        return Clip(self.codec, self.pix_fmt, width, height, self.times, **fields)  # type: ignore[arg-type]

    def _draw(self, number: int, clip: Clip) -> av.VideoFrame:
        """A frame as it is stored: the upright picture mirrored, then turned back."""
        upright = picture(number, *self.size)
        mirrored = upright[:, ::-1] if clip.mirrored else upright
        frame = to_frame(np.rot90(mirrored, clip.rotation // 90), self.pix_fmt, self.meaning)
        if self.tags:
            frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = self.tags.codes
        return frame
