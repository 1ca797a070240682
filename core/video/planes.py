"""Between FFmpeg's sample planes and float tensors, and chroma resampling."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

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

_ROWS, _COLUMNS = 1, 2

# Catmull-Rom (a = -1/2): interpolation at 1/2 and at 1/4, and the same kernel stretched twofold for decimation.
_HALF = (-0.0625, 0.5625, 0.5625, -0.0625)
_QUARTER = (-0.0703125, 0.8671875, 0.2265625, -0.0234375)
_DECIMATE_COSITED = (-0.03125, 0.0, 0.28125, 0.5, 0.28125, 0.0, -0.03125)
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


def read_planes(frame: av.VideoFrame, layout: PixelLayout, color_range: int) -> list[Tensor]:
    """Return the samples of ``frame`` as float32 code values: [R,G,B], [Y] or [Y,U,V], each (h,w).

    Args:
        frame: a decoded frame.
        layout: ``pixel_layout(frame.format.name)``.
        color_range: FFmpeg's range code, kept when the format has to be repacked first.
    """
    if frame.format.name != layout.format:
        keep = {} if layout.kind == "rgb" else {"src_color_range": color_range, "dst_color_range": color_range}
        frame = frame.reformat(format=layout.format, **keep)
    order = {"rgb": (2, 0, 1), "gray": (0,), "yuv": (0, 1, 2)}[layout.kind]  # FFmpeg stores G, B, R
    return [torch.from_numpy(_samples(frame, i, layout.bits).astype(np.float32)) for i in order]


def write_planes(frame: av.VideoFrame, planes: Sequence[Tensor], bits: int) -> None:
    """Round float code values to nearest, clamp them to ``bits`` and store them; ``planes`` are overwritten."""
    for index, plane in enumerate(planes):
        plane.add_(0.5).clamp_(0, 2**bits - 1)
        np.copyto(_samples(frame, index, bits), plane.numpy(), casting="unsafe")


def _samples(frame: av.VideoFrame, index: int, bits: int) -> "np.ndarray[Any, np.dtype[Any]]":
    """Return a view (h,w) of a plane, without the padding of its lines."""
    plane = frame.planes[index]
    dtype: type[np.generic] = np.uint8 if bits <= 8 else np.uint16
    lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
    view: np.ndarray[Any, np.dtype[Any]] = lines[:, : plane.width]
    return view


def upsample_chroma(chroma: Tensor, layout: PixelLayout, size: tuple[int, int], *, centred: bool) -> Tensor:
    """Bring chroma (2,h,w) to the (H,W) of the luma; ``centred`` says whether it lies midway between columns."""
    for _ in range(layout.shift_x):
        chroma = _double(chroma, _COLUMNS, centred=centred)
    for _ in range(layout.shift_y):
        chroma = _double(chroma, _ROWS, centred=True)
    return chroma[:, : size[0], : size[1]]


def downsample_chroma(chroma: Tensor, layout: PixelLayout) -> Tensor:
    """Bring full-size chroma (2,H,W) to the subsampling of ``layout``, its columns on those of the luma."""
    for _ in range(layout.shift_y):
        chroma = _halve(chroma, _ROWS, centred=True)
    for _ in range(layout.shift_x):
        chroma = _halve(chroma, _COLUMNS, centred=False)
    return chroma


def _double(x: Tensor, dim: int, *, centred: bool) -> Tensor:
    """Interpolate (2,h,w) to twice its extent along ``dim``, edges repeated."""
    count = x.shape[dim]
    padded = _pad(x, dim, 2, 2)
    out = x.new_empty([n * 2 if i == dim else n for i, n in enumerate(x.shape)])
    even, odd = _every(out, dim, 0, count, 2), _every(out, dim, 1, count, 2)
    if centred:
        _filter(padded, dim, _QUARTER[::-1], even)
        _filter(padded, dim, (0.0, *_QUARTER), odd)
    else:
        even.copy_(x)
        _filter(padded, dim, (0.0, *_HALF), odd)
    return out


def _halve(x: Tensor, dim: int, *, centred: bool) -> Tensor:
    """Decimate (2,h,w) to half its extent along ``dim``, rounded up, edges repeated."""
    out = x.new_empty([(n + 1) // 2 if i == dim else n for i, n in enumerate(x.shape)])
    _filter(_pad(x, dim, 3, 5), dim, _DECIMATE_CENTRED if centred else _DECIMATE_COSITED, out, step=2)
    return out


def _pad(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    sides = (0, 0, before, after) if dim == _ROWS else (before, after, 0, 0)
    return F.pad(x[None], sides, mode="replicate")[0]


def _every(x: Tensor, dim: int, first: int, count: int, step: int) -> Tensor:
    """Return the view of ``count`` lines along ``dim``, ``step`` apart."""
    lines = slice(first, first + (count - 1) * step + 1, step)
    return x[:, lines] if dim == _ROWS else x[:, :, lines]


def _filter(padded: Tensor, dim: int, taps: Sequence[float], out: Tensor, step: int = 1) -> None:
    """Write ``out[i] = sum_k taps[k] * padded[i * step + k]`` along ``dim``."""
    terms = [(_every(padded, dim, k, out.shape[dim], step), weight) for k, weight in enumerate(taps) if weight]
    torch.mul(terms[0][0], terms[0][1], out=out)
    for view, weight in terms[1:]:
        out.add_(view, alpha=weight)
