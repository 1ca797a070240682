"""Colour: what the numbers in a decoded frame mean, and exact conversion to RGB and back.

Codes are FFmpeg's (and H.273's) integers. ``R'G'B'`` is kept in the source's own primaries and transfer; only the
matrix and the range are undone and redone.
"""

import logging
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ShapeError
from .device_planes import MOST_BITS, device_planes
from .planes import (
    ChromaWriter,
    open_planes,
    pixel_layout,
    read_chroma,
    read_rows,
    samples,
    strips,
    upsample_chroma,
    write_rows,
)
from .pool import TensorPool

logger = logging.getLogger(__name__)

UNSPECIFIED = 2
PQ, HLG = 16, 18
"""Transfer characteristics of HDR video (SMPTE ST 2084, ARIB STD-B67)."""

RGB, BT709, FCC, BT470BG, SMPTE170M, SMPTE240M, YCGCO, BT2020 = 0, 1, 4, 5, 6, 7, 8, 9

_KR_KB = {
    BT709: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT470BG: (0.299, 0.114),
    SMPTE170M: (0.299, 0.114),
    SMPTE240M: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}
_MATRIX_OF_PRIMARIES = {1: BT709, 5: BT470BG, 6: SMPTE170M, 7: SMPTE240M, 9: BT2020}
_PRIMARIES_OF_MATRIX = {BT709: 1, FCC: 4, BT470BG: 5, SMPTE170M: 6, SMPTE240M: 7, BT2020: 9, 10: 9, 14: 9}
_TRANSFER_OF_MATRIX = {SMPTE240M: 7, BT470BG: 6, SMPTE170M: 6, BT2020: 14, 10: 14}
_CENTRED_CHROMA_CODECS = {"mpeg1video", "mjpeg"}


@dataclass(frozen=True)
class ColorTags:
    """How the samples of a video are to be read.

    Attributes:
        matrix: RGB to YUV matrix, FFmpeg's AVColorSpace code; 0 is RGB.
        primaries: AVColorPrimaries code.
        transfer: AVColorTransferCharacteristic code.
        full_range: samples use 0..2^n-1 instead of the studio range (16..235 at 8 bits).
        centred_chroma: chroma samples lie midway between luma columns (MPEG-1, JPEG), not on the left one.
        guessed: the file did not say all of this, so part of it follows from the size of the picture.
    """

    matrix: int
    primaries: int
    transfer: int
    full_range: bool
    centred_chroma: bool = False
    guessed: bool = False

    def for_encoding(self) -> "ColorTags":
        """Return the tags of an encoded YUV copy: the same, but RGB becomes BT.709 in studio range."""
        if self.matrix == RGB:
            primaries = 1 if self.guessed else self.primaries
            return ColorTags(BT709, primaries, 1 if self.guessed else self.transfer, full_range=False)
        return replace(self, centred_chroma=False)


def read_tags(frame: av.VideoFrame, codec: str) -> ColorTags:
    """Read the colour tags of a decoded frame and fill the gaps as video players do.

    Untagged YUV is BT.709 from 1280 columns or 720 rows on, else BT.601 (576 rows: 625 lines; 480 or 486: 525
    lines). Untagged range is studio range, except for yuvj*, gray and RGB formats.
    """
    kind = pixel_layout(frame.format.name).kind
    full = frame.color_range == 2 or frame.format.name.startswith("yuvj")
    if frame.color_range == 0 and kind == "gray":
        full = True
    if kind == "rgb":
        matrix, full = RGB, True
    else:
        matrix = int(frame.colorspace)
    guessed = UNSPECIFIED in (matrix, int(frame.color_primaries), int(frame.color_trc))
    if matrix in (UNSPECIFIED, RGB) and kind != "rgb":
        matrix = _guess_matrix(frame)
    primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
    if primaries in (0, UNSPECIFIED):
        primaries = _guess_primaries(matrix, frame.height, was_tagged=int(frame.colorspace) == matrix)
    if transfer in (0, UNSPECIFIED):
        transfer = _TRANSFER_OF_MATRIX.get(matrix, 1)
    return ColorTags(matrix, primaries, transfer, full, codec in _CENTRED_CHROMA_CODECS, guessed)


def _guess_matrix(frame: av.VideoFrame) -> int:
    if int(frame.color_primaries) in _MATRIX_OF_PRIMARIES:
        return _MATRIX_OF_PRIMARIES[int(frame.color_primaries)]
    if frame.width >= 1280 or frame.height >= 720:
        return BT709
    return BT470BG if frame.height == 576 else SMPTE170M


def _guess_primaries(matrix: int, height: int, *, was_tagged: bool) -> int:
    if matrix == SMPTE170M and not was_tagged and height not in (480, 486):
        return 1  # small web video was made on computer screens, whatever its matrix
    return _PRIMARIES_OF_MATRIX.get(matrix, 1)


def yuv_matrix(code: int) -> NDArray[np.float64]:
    """Return the (3,3) matrix from R'G'B' in [0,1] to Y' in [0,1] and Cb, Cr in [-0.5,0.5] (H.273, section 8.3)."""
    if code == YCGCO:
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    if code not in _KR_KB:
        logger.warning("Colour matrix %d is not supported; BT.2020 non-constant luminance is used instead.", code)
    kr, kb = _KR_KB.get(code, _KR_KB[BT2020])
    luma = np.array([kr, 1.0 - kr - kb, kb])
    blue = (np.array([0.0, 0.0, 1.0]) - luma) / (2.0 * (1.0 - kb))
    red = (np.array([1.0, 0.0, 0.0]) - luma) / (2.0 * (1.0 - kr))
    return np.stack([luma, blue, red])


@dataclass(frozen=True)
class _Quantisation:
    """Code value = offset + scale * signal, for luma and chroma."""

    luma_offset: float
    luma_scale: float
    chroma_offset: float
    chroma_scale: float

    @staticmethod
    def of(bits: int, full_range: bool) -> "_Quantisation":
        peak, step = float(2**bits - 1), float(2 ** (bits - 8))
        if full_range:
            return _Quantisation(0.0, peak, 128.0 * step, peak)
        return _Quantisation(16.0 * step, 219.0 * step, 128.0 * step, 224.0 * step)


def to_rgb(frame: av.VideoFrame, tags: ColorTags, pool: TensorPool | None = None) -> Tensor:
    """Convert a decoded frame to RGB with the matrix and range of ``tags``; alpha is dropped.

    Subsampled chroma is interpolated with a Catmull-Rom kernel at its true position.

    Args:
        frame: as decoded.
        tags: how its samples are to be read.
        pool: where the result's memory comes from.

    Returns:
        (3,H,W) float32 RGB in [0,1], not rotated. YUV triples outside the RGB cube are clamped.
    """
    layout = pixel_layout(frame.format.name)
    full = tags.full_range or frame.format.name.startswith("yuvj")
    planes = open_planes(frame, layout, 2 if full else 1)
    pool = pool or TensorPool()
    rgb = pool.take(3, frame.height, frame.width)
    for rows in strips(frame.height, frame.width, 1 << layout.shift_y):
        out = rgb[:, rows]
        if layout.kind == "rgb":
            for channel, plane in zip(out, planes, strict=True):
                torch.mul(read_rows(plane, rows, pool), 1 / (2**layout.bits - 1), out=channel)
            continue
        q = _Quantisation.of(layout.bits, full)
        luma = read_rows(planes[0], rows, pool).sub_(q.luma_offset).mul_(1 / q.luma_scale)
        if layout.kind == "gray":
            out.copy_(luma.clamp_(0, 1).expand(3, -1, -1))
            continue
        chroma = read_chroma(planes[1:], layout, rows, pool).sub_(q.chroma_offset)
        size = (luma.shape[0], luma.shape[1])
        chroma = upsample_chroma(chroma, layout, size, pool, centred=tags.centred_chroma)
        _mix(out, luma, chroma, np.linalg.inv(yuv_matrix(tags.matrix))[:, 1:] / q.chroma_scale)
        out.clamp_(0, 1)
    return rgb


def _mix(out: Tensor, luma: Tensor, chroma: Tensor, matrix: NDArray[np.floating[Any]]) -> None:
    """Write ``luma + matrix @ chroma`` to ``out``, (3,h,w), skipping what is zero."""
    for channel, weights in zip(out, matrix, strict=True):
        (first, weight), *others = [(c, float(w)) for c, w in zip(chroma, weights, strict=True) if abs(w) > 1e-12]
        torch.add(luma, first, alpha=weight, out=channel)
        for other, weight in others:
            channel.add_(other, alpha=weight)


def from_rgb(image: Tensor, pix_fmt: str, tags: ColorTags, pool: TensorPool | None = None) -> av.VideoFrame:
    """Convert an RGB picture to a planar YUV frame that carries ``tags``.

    Args:
        image: (3,H,W) RGB, any float type and device; values are clamped to [0,1] and rounded to nearest.
        pix_fmt: ``yuv420p``, ``yuv422p``, ``yuv444p`` and their ``10le``, ``12le``, ``16le`` forms; ``rgb24`` and
            ``rgb48be``.
        tags: matrix and range to use; RGB tags become BT.709. RGB formats have neither.
        pool: where memory to compute in comes from.

    Raises:
        ShapeError: ``image`` is not (3,H,W).
    """
    if image.dim() != 3 or image.shape[0] != 3:
        raise ShapeError(f"Expected an image of shape (3,H,W), got {tuple(image.shape)}; pass one RGB frame.")
    if pix_fmt.startswith("rgb"):
        return _packed_rgb(image, pix_fmt)
    tags = tags.for_encoding()
    height, width = image.shape[1:]
    frame = av.VideoFrame(width, height, pix_fmt)
    layout = pixel_layout(pix_fmt)
    q = _Quantisation.of(layout.bits, tags.full_range)
    scales = np.array([q.luma_scale, q.chroma_scale, q.chroma_scale])
    matrix = yuv_matrix(tags.matrix) * scales[:, None]
    luma, *chroma = (samples(frame, index, layout.bits) for index in range(3))
    if image.is_cuda and layout.bits <= MOST_BITS:
        found = device_planes(image, layout, matrix, (q.luma_offset, q.chroma_offset))
        for plane, values in zip((luma, *chroma), found, strict=True):
            np.copyto(plane, values.cpu().numpy(), casting="unsafe")
        tag_frame(frame, tags)
        return frame
    pool = pool or TensorPool()
    writer = ChromaWriter(chroma, layout, q.chroma_offset, pool)
    rgb = image.detach().cpu()
    for rows in strips(height, width):
        shape = (3, rows.stop - rows.start, width)
        piece = torch.clamp(rgb[:, rows].float(), 0, 1, out=pool.take(*shape))
        yuv = pool.take(*shape)
        for out, weights in zip(yuv, matrix, strict=True):
            torch.mul(piece[0], float(weights[0]), out=out)
            out.add_(piece[1], alpha=float(weights[1])).add_(piece[2], alpha=float(weights[2]))
        write_rows(luma, rows, yuv[0], q.luma_offset, layout.bits)
        writer.add(yuv[1:], last=rows.stop == height)
    tag_frame(frame, tags)
    return frame


def _packed_rgb(image: Tensor, pix_fmt: str) -> av.VideoFrame:
    peak, dtype = (65535, np.uint16) if pix_fmt.startswith("rgb48") else (255, np.uint8)
    values = image.detach().cpu().float().clamp(0, 1).mul(peak).add(0.5).permute(1, 2, 0)  # (C,H,W) -> (H,W,C)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(values.numpy().astype(dtype)), format=pix_fmt)


def tag_frame(frame: "av.VideoFrame | VideoCodecContext", tags: ColorTags) -> None:
    """Write ``tags`` into a frame (or, the attributes being the same, into an encoder's context)."""
    frame.colorspace = tags.matrix
    frame.color_primaries = tags.primaries
    frame.color_trc = tags.transfer
    frame.color_range = 2 if tags.full_range else 1
