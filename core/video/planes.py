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
from av.video.format import VideoFormat
from torch import Tensor

from .pool import TensorPool

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
DECIMATE_COSITED = (-0.03125, 0.0, 0.28125, 0.5, 0.28125, 0.0, -0.03125)
REACH = (3, 5)
"""Lines that decimation looks at before the first one and after the last."""

DECIMATE_CENTRED = (-0.01171875, -0.03515625, 0.11328125, 0.43359375, 0.43359375, 0.11328125, -0.03515625, -0.01171875)


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


def read_rows(plane: Samples, rows: slice, pool: TensorPool) -> Tensor:
    """Return rows of a plane as float32 code values, (rows,w)."""
    part = torch.from_numpy(plane[rows])
    return pool.take(*part.shape).copy_(part)


def read_chroma(planes: Sequence[Samples], layout: PixelLayout, rows: slice, pool: TensorPool) -> Tensor:
    """Return the chroma (2,h,w) that a strip of luma rows needs: with ``chroma_margin`` further rows on either side.

    Args:
        planes: U and V.
        layout: their subsampling.
        rows: the strip; it begins at a multiple of the vertical subsampling.
        pool: where memory comes from.
    """
    margin = chroma_margin(layout)
    first, last = rows.start >> layout.shift_y, -(-rows.stop >> layout.shift_y)
    index = np.arange(first - margin, last + margin).clip(0, len(planes[0]) - 1)
    chroma = pool.take(2, len(index), planes[0].shape[1])
    for out, plane in zip(chroma, planes, strict=True):
        out.copy_(torch.from_numpy(plane[index]))
    return chroma


def chroma_margin(layout: PixelLayout) -> int:
    """Rows of chroma that doubling looks at beyond a strip, on either side: 2 each time it is done."""
    return (0, 2, 3)[layout.shift_y]


def write_rows(plane: Samples, rows: slice, values: Tensor, offset: float, bits: int) -> None:
    """Add ``offset`` to (rows,w), round to nearest, clamp to ``bits`` and store; ``values`` is overwritten."""
    values.add_(offset + 0.5).clamp_(0, 2**bits - 1)
    np.copyto(plane[rows], values.numpy(), casting="unsafe")


def upsample_chroma(
    chroma: Tensor, layout: PixelLayout, size: tuple[int, int], pool: TensorPool, *, centred: bool
) -> Tensor:
    """Bring what ``read_chroma`` returned to the (h,W) of its strip of luma.

    Args:
        chroma: (2,h',w), with its margin.
        layout: the subsampling.
        size: rows of the strip and columns of the luma.
        pool: where memory comes from.
        centred: whether chroma lies midway between luma columns, not on the left one.
    """
    for _ in range(layout.shift_y):
        chroma = _double_rows(chroma, pool)
    for _ in range(layout.shift_x):
        chroma = _double_columns(_pad(chroma, _COLUMNS, 2, 2, pool), pool, centred=centred)
    return chroma[:, : size[0], : size[1]]


class ChromaWriter:
    """Takes full-size chroma strip by strip, brings it to a subsampling, and stores it.

    Args:
        planes: U and V, to be written.
        layout: their subsampling and depth.
        offset: the code value of no colour.
        pool: where memory comes from.
    """

    def __init__(self, planes: Sequence[Samples], layout: PixelLayout, offset: float, pool: TensorPool) -> None:
        self._planes, self._layout, self._offset, self._pool = planes, layout, offset, pool
        self._halvers = [_RowHalver(pool) for _ in range(layout.shift_y)]
        self._next = 0

    def add(self, chroma: Tensor, *, last: bool) -> None:
        """Take the next strip, (2,h,W) code values less the offset; ``last`` says that none follows."""
        for _ in range(self._layout.shift_x):
            chroma = _halve_columns(_pad(chroma, _COLUMNS, *REACH, self._pool), self._pool)
        for halver in self._halvers:
            chroma = halver.add(chroma, last=last)
        rows = slice(self._next, self._next + chroma.shape[1])
        for plane, values in zip(self._planes, chroma, strict=True):
            write_rows(plane, rows, values, self._offset, self._layout.bits)
        self._next = rows.stop


class _RowHalver:
    """Decimates rows to half their number, strip by strip, as if all were there at once."""

    def __init__(self, pool: TensorPool) -> None:
        self._pool = pool
        self._waiting: Tensor | None = None
        self._rows = 0

    def add(self, strip: Tensor, *, last: bool) -> Tensor:
        """Take (2,h,w) and return the rows that it completes, about (2,h/2,w)."""
        self._rows += strip.shape[1]
        after = REACH[1] + self._rows % 2 if last else 0
        if self._waiting is None:
            strip = _pad(strip, _ROWS, REACH[0], after, self._pool)
        else:
            strip = _pad(strip, _ROWS, self._waiting.shape[1], after, self._pool)
            strip[:, : self._waiting.shape[1]] = self._waiting
        complete = max(strip.shape[1] - sum(REACH), 0) // 2
        self._waiting = strip[:, 2 * complete :]
        out = self._pool.take(2, complete, strip.shape[2])
        _filter(strip[:, 0::2], _ROWS, DECIMATE_CENTRED[0::2], out)
        return _filter(strip[:, 1::2], _ROWS, DECIMATE_CENTRED[1::2], out, add=True)


def _double_rows(padded: Tensor, pool: TensorPool) -> Tensor:
    """Interpolate (2,h,w) to twice its rows, centred; the outer two on either side are only looked at."""
    _, height, width = padded.shape
    out = pool.take(2, 2 * (height - 4), width)
    _filter(padded, _ROWS, _QUARTER[::-1], out[:, 0::2])
    _filter(padded, _ROWS, (0.0, *_QUARTER), out[:, 1::2])
    return out


def _double_columns(padded: Tensor, pool: TensorPool, *, centred: bool) -> Tensor:
    """Interpolate (2,h,w) to twice its columns; the outer two on either side are only looked at."""
    height, width = padded.shape[1], padded.shape[2] - 4
    even, odd = pool.take(2, height, width), pool.take(2, height, width)
    _filter(padded, _COLUMNS, _QUARTER[::-1] if centred else (0.0, 0.0, 1.0), even)
    _filter(padded, _COLUMNS, (0.0, *(_QUARTER if centred else _HALF)), odd)
    # Computed apart and woven together, as real and imaginary parts: eight times as fast as stacking them.
    out = pool.take(2, height, width, 2)
    torch.complex(even, odd, out=torch.view_as_complex(out))
    return out.flatten(2)


def _halve_columns(padded: Tensor, pool: TensorPool) -> Tensor:
    """Decimate (2,h,w) to half its columns, rounded up, on every other one; ``REACH`` outer ones are looked at."""
    width = padded.shape[2]
    even = pool.take(2, padded.shape[1], (width + 1) // 2)
    odd = pool.take(2, padded.shape[1], width // 2)
    for part, first in ((even, 0), (odd, 1)):
        np.copyto(part.numpy(), padded.numpy()[..., first::2])  # twice as fast as PyTorch's
    out = pool.take(2, padded.shape[1], (width - sum(REACH) + 1) // 2)
    _filter(even, _COLUMNS, DECIMATE_COSITED[0::2], out)
    return _filter(odd, _COLUMNS, DECIMATE_COSITED[1::2], out, add=True)


def _pad(x: Tensor, dim: int, before: int, after: int, pool: TensorPool) -> Tensor:
    """Repeat the outer rows or columns of (2,h,w)."""
    shape = list(x.shape)
    shape[dim] += before + after
    out = pool.take(*shape)
    out.narrow(dim, before, x.shape[dim]).copy_(x)
    out.narrow(dim, 0, before).copy_(x.narrow(dim, 0, 1).expand_as(out.narrow(dim, 0, before)))
    end = out.narrow(dim, before + x.shape[dim], after)
    end.copy_(x.narrow(dim, x.shape[dim] - 1, 1).expand_as(end))
    return out


def _filter(x: Tensor, dim: int, taps: Sequence[float], out: Tensor, *, add: bool = False) -> Tensor:
    """Write ``sum_k taps[k] * x[i + k]`` along ``dim`` to ``out[i]``, or ``add`` it; returns ``out``."""
    for k, weight in enumerate(taps):
        lines = x.narrow(dim, k, out.shape[dim]) if weight else None
        if lines is not None and add:
            out.add_(lines, alpha=weight)
        elif lines is not None:
            torch.mul(lines, weight, out=out)
            add = True
    return out
