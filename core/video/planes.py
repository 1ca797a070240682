"""Between FFmpeg's sample planes and float tensors, and chroma resampling.

A picture is worked on in strips of rows, which stay in the processor's cache and need little memory of their own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import av
import numpy as np
import torch
import torch.nn.functional as F
from av.video.format import VideoFormat
from torch import Tensor

_READABLE = re.compile(r"(yuva?4\d\d|yuvj4\d\d|gbra?|gray)(p?)(\d+le)?$")
_PLANAR_OF_PACKED = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "uyyvyy411": "yuv411p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
    "y210le": "yuv422p10le",
}
_FALLBACK = {"rgb": ("gbrp", "gbrp16le"), "gray": ("gray", "gray16le"), "yuv": ("yuv444p", "yuv444p16le")}

Samples: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

_STRIP = 1 << 18
"""Samples of a strip: a megabyte of floats."""

_ROWS, _COLUMNS = 1, 2

# Catmull-Rom (a = -1/2): interpolation at 1/2 and at 1/4, and the same kernel stretched twofold for decimation.
_HALF = (-0.0625, 0.5625, 0.5625, -0.0625)
_QUARTER = (-0.0703125, 0.8671875, 0.2265625, -0.0234375)
_DECIMATE_COSITED = (-0.03125, 0.0, 0.28125, 0.5, 0.28125, 0.0, -0.03125)
_REACH = (3, 5)
"""Lines that decimation looks at before the first one and after the last."""

_DECIMATE_CENTRED = (-0.01171875, -0.03515625, 0.11328125, 0.43359375, 0.43359375, 0.11328125, -0.03515625, -0.01171875)


@dataclass(frozen=True)
class PixelLayout:
    """The planes in which a pixel format is read.

    Attributes:
        format: FFmpeg's name of the planar format that is read.
        kind: what the planes are.
        bits: bits a sample.
        shift_x: log2 of luma columns per chroma column.
        shift_y: log2 of luma rows per chroma row.
    """

    format: str
    kind: Literal["rgb", "gray", "yuv"]
    bits: int
    shift_x: int
    shift_y: int


def pixel_layout(name: str) -> PixelLayout:
    """Describe how the pixel format ``name`` is read: as it is if planar, else through the nearest planar format."""
    fmt = VideoFormat(name, 64, 64)
    bits = max(c.bits for c in fmt.components)
    kind: Literal["rgb", "gray", "yuv"] = "yuv"
    if fmt.is_rgb or fmt.has_palette or name.startswith("xyz"):
        kind = "rgb"
    elif len(fmt.components) < 3:
        kind = "gray"
    if not (_READABLE.match(name) and 8 <= bits <= 16):
        name = _PLANAR_OF_PACKED.get(name, _FALLBACK[kind][bits > 8])
        fmt = VideoFormat(name, 64, 64)
    chroma = fmt.components[1] if kind == "yuv" else fmt.components[0]
    shift_x, shift_y = (64 // chroma.width).bit_length() - 1, (64 // chroma.height).bit_length() - 1
    return PixelLayout(name, kind, fmt.components[0].bits, shift_x, shift_y)


def strips(height: int, width: int, align: int = 1) -> Iterator[slice]:
    """Cut a picture into strips of rows; each but the last has a multiple of ``align`` rows."""
    step = max(_STRIP // width // align, 1) * align
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def open_planes(frame: av.VideoFrame, layout: PixelLayout, color_range: int) -> list[Samples]:
    """Return the samples of ``frame`` as code values, without copying: [R,G,B], [Y] or [Y,U,V], each (h,w).

    Args:
        frame: a decoded frame; the arrays keep its memory alive.
        layout: ``pixel_layout(frame.format.name)``.
        color_range: FFmpeg's range code, kept when the format has to be repacked first.
    """
    if frame.format.name != layout.format:
        keep = {} if layout.kind == "rgb" else {"src_color_range": color_range, "dst_color_range": color_range}
        frame = frame.reformat(format=layout.format, **keep)
    order = {"rgb": (2, 0, 1), "gray": (0,), "yuv": (0, 1, 2)}[layout.kind]  # FFmpeg stores G, B, R
    return [samples(frame, index, layout.bits) for index in order]


def samples(frame: av.VideoFrame, index: int, bits: int) -> Samples:
    """Return a view (h,w) of a plane, without the padding of its lines."""
    plane = frame.planes[index]
    dtype: type[np.generic] = np.uint8 if bits <= 8 else np.uint16
    lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
    view: Samples = lines[:, : plane.width]
    return view


def read_rows(plane: Samples, rows: slice) -> Tensor:
    """Return rows of a plane as float32 code values, (rows,w)."""
    return torch.from_numpy(plane[rows].astype(np.float32))


def read_chroma(planes: Sequence[Samples], layout: PixelLayout, rows: slice) -> Tensor:
    """Return the chroma (2,h,w) that a strip of luma rows needs: with ``chroma_margin`` further rows on either side.

    Args:
        planes: U and V.
        layout: their subsampling.
        rows: the strip; it begins at a multiple of the vertical subsampling.
    """
    margin = chroma_margin(layout)
    first, last = rows.start >> layout.shift_y, -(-rows.stop >> layout.shift_y)
    index = np.arange(first - margin, last + margin).clip(0, len(planes[0]) - 1)
    return torch.stack([torch.from_numpy(plane[index].astype(np.float32)) for plane in planes])


def chroma_margin(layout: PixelLayout) -> int:
    """Rows of chroma that doubling looks at beyond a strip, on either side: 2 each time it is done."""
    return (0, 2, 3)[layout.shift_y]


def write_rows(plane: Samples, rows: slice, values: Tensor, bits: int) -> None:
    """Round float code values (rows,w) to nearest, clamp them to ``bits`` and store them; ``values`` is overwritten."""
    values.add_(0.5).clamp_(0, 2**bits - 1)
    np.copyto(plane[rows], values.numpy(), casting="unsafe")


def upsample_chroma(chroma: Tensor, layout: PixelLayout, size: tuple[int, int], *, centred: bool) -> Tensor:
    """Bring what ``read_chroma`` returned to the (h,W) of its strip of luma.

    Args:
        chroma: (2,h',w), with its margin.
        layout: the subsampling.
        size: rows of the strip and columns of the luma.
        centred: whether chroma lies midway between luma columns, not on the left one.
    """
    for _ in range(layout.shift_y):
        chroma = _double(chroma, _ROWS, centred=True)
    for _ in range(layout.shift_x):
        chroma = _double(_pad(chroma, _COLUMNS, 2, 2), _COLUMNS, centred=centred)
    return chroma[:, : size[0], : size[1]]


class ChromaWriter:
    """Takes full-size chroma strip by strip, brings it to a subsampling, and stores it.

    Args:
        planes: U and V, to be written.
        layout: their subsampling and depth.
    """

    def __init__(self, planes: Sequence[Samples], layout: PixelLayout) -> None:
        self._planes, self._layout = planes, layout
        self._halvers = [_RowHalver() for _ in range(layout.shift_y)]
        self._next = 0

    def add(self, chroma: Tensor, *, last: bool) -> None:
        """Take the next strip, (2,h,W) code values; ``last`` says that none follows."""
        for _ in range(self._layout.shift_x):
            chroma = _halve(_pad(chroma, _COLUMNS, *_REACH), _COLUMNS, centred=False)
        for halver in self._halvers:
            chroma = halver.add(chroma, last=last)
        rows = slice(self._next, self._next + chroma.shape[1])
        for plane, values in zip(self._planes, chroma, strict=True):
            write_rows(plane, rows, values, self._layout.bits)
        self._next = rows.stop


class _RowHalver:
    """Decimates rows to half their number, strip by strip, as if all were there at once."""

    def __init__(self) -> None:
        self._waiting: Tensor | None = None
        self._rows = 0

    def add(self, strip: Tensor, *, last: bool) -> Tensor:
        """Take (2,h,w) and return the rows that it completes, about (2,h/2,w)."""
        self._rows += strip.shape[1]
        if self._waiting is None:
            strip = _pad(strip, _ROWS, _REACH[0], 0)
        else:
            strip = torch.cat([self._waiting, strip], dim=1)
        if last:
            strip = _pad(strip, _ROWS, 0, _REACH[1] + self._rows % 2)
        complete = max(strip.shape[1] - sum(_REACH), 0) // 2
        self._waiting = strip[:, 2 * complete :]
        return _halve(strip[:, : 2 * complete + sum(_REACH)], _ROWS, centred=True) if complete else strip[:, :0]


def _double(padded: Tensor, dim: int, *, centred: bool) -> Tensor:
    """Interpolate (2,h,w) to twice its extent along ``dim``; the outer two lines on either side are only looked at."""
    count = padded.shape[dim] - 4
    if centred:
        even = _filter(padded, dim, _QUARTER[::-1], count)
    else:
        even = _lines(padded, dim, 2, count)
    odd = _filter(padded, dim, (0.0, *(_QUARTER if centred else _HALF)), count)
    # Computed apart and woven together: columns that lie two apart are slow to compute with.
    return torch.stack((even, odd), dim=dim + 1).flatten(dim, dim + 1)


def _halve(padded: Tensor, dim: int, *, centred: bool) -> Tensor:
    """Decimate (2,h,w) to half its extent along ``dim``, rounded up; ``_REACH`` outer lines are only looked at."""
    count = (padded.shape[dim] - sum(_REACH) + 1) // 2
    taps = _DECIMATE_CENTRED if centred else _DECIMATE_COSITED
    if dim == _ROWS:
        even, odd = padded[:, 0::2], padded[:, 1::2]
    else:
        even, odd = padded[..., 0::2].contiguous(), padded[..., 1::2].contiguous()
    out = _filter(even, dim, taps[0::2], count)
    return _filter(odd, dim, taps[1::2], count, out)


def _pad(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    sides = (0, 0, before, after) if dim == _ROWS else (before, after, 0, 0)
    return F.pad(x[None], sides, mode="replicate")[0]


def _lines(x: Tensor, dim: int, first: int, count: int) -> Tensor:
    return x[:, first : first + count] if dim == _ROWS else x[:, :, first : first + count]


def _filter(x: Tensor, dim: int, taps: Sequence[float], count: int, out: Tensor | None = None) -> Tensor:
    """Return ``out[i] + sum_k taps[k] * x[i + k]`` along ``dim`` for the first ``count`` i; ``out`` is overwritten."""
    for k, weight in enumerate(taps):
        if weight and out is None:
            out = _lines(x, dim, k, count) * weight
        elif weight and out is not None:
            out.add_(_lines(x, dim, k, count), alpha=weight)
    assert out is not None
    return out
