"""Static HDR metadata: on what display a picture was graded, and how bright it gets."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
from av.sidedata.sidedata import Type as SideDataType

Point = tuple[Fraction, Fraction]

_MASTERING = struct.Struct("=20i2i")  # AVMasteringDisplayMetadata: ten AVRational, two flags
_LIGHT = struct.Struct("=2I")  # AVContentLightMetadata


@dataclass(frozen=True)
class HdrMetadata:
    """What SMPTE ST 2086 and CTA-861.3 say; None is what the file does not say.

    Attributes:
        red: CIE 1931 x, y of the mastering display's red.
        green: of its green.
        blue: of its blue.
        white: of its white.
        min_luminance: of that display, in cd/m2.
        max_luminance: of that display, in cd/m2.
        max_cll: brightest pixel, in cd/m2.
        max_fall: brightest frame on average, in cd/m2.
    """

    red: Point | None = None
    green: Point | None = None
    blue: Point | None = None
    white: Point | None = None
    min_luminance: Fraction | None = None
    max_luminance: Fraction | None = None
    max_cll: int | None = None
    max_fall: int | None = None

    @staticmethod
    def of(frame: av.VideoFrame) -> "HdrMetadata | None":
        """Read the side data of a decoded frame; None if it has none of this."""
        side_data = cast("Mapping[Any, Any]", frame.side_data)
        values = {
            **_mastering(side_data.get(SideDataType.MASTERING_DISPLAY_METADATA)),
            **_light(side_data.get(SideDataType.CONTENT_LIGHT_LEVEL)),
        }
        return HdrMetadata(**values) if values else None


def _mastering(data: Any) -> dict[str, Any]:
    raw = b"" if data is None else bytes(data)
    if len(raw) < _MASTERING.size:
        return {}
    *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(raw)
    values = [Fraction(n, d) if d else Fraction(0) for n, d in zip(numbers[::2], numbers[1::2], strict=True)]
    found: dict[str, Any] = {}
    if has_primaries:
        points = (tuple(values[i : i + 2]) for i in range(0, 8, 2))
        found |= dict(zip(("red", "green", "blue", "white"), points, strict=True))
    if has_luminance:
        found |= {"min_luminance": values[8], "max_luminance": values[9]}
    return found


def _light(data: Any) -> dict[str, Any]:
    raw = b"" if data is None else bytes(data)
    if len(raw) < _LIGHT.size:
        return {}
    max_cll, max_fall = _LIGHT.unpack_from(raw)
    return {"max_cll": max_cll, "max_fall": max_fall} if max_cll or max_fall else {}
