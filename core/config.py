"""Every default and limit of the pack, written once."""

from dataclasses import dataclass
from typing import Literal

ColorFix = Literal["none", "adain", "wavelet"]
VideoCodec = Literal["h264", "hevc", "av1", "prores", "ffv1"]

SCALE = 4
"""The networks upscale by this factor; other scales are made from it by area averaging."""


@dataclass(frozen=True)
class EncodeConfig:
    """How the result is encoded.

    Attributes:
        codec: the video codec of the result.
        crf: constant quality, 0 (lossless) to 51 (worst); used by h264, hevc and av1.
        bit_depth: 8 or 10 bits a sample; 0 follows the source.
    """

    codec: VideoCodec = "h264"
    crf: int = 16
    bit_depth: Literal[0, 8, 10] = 0
