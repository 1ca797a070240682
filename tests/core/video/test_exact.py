"""Decoding to RGB and encoding again without processing changes no 4:4:4 plane by more than one code value."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from textovsr.core.config import EncodeConfig
from textovsr.core.video.color import (
    BT470BG,
    BT709,
    BT2020,
    SMPTE170M,
    SMPTE240M,
    ColorTags,
    from_rgb,
    to_rgb,
    yuv_matrix,
)
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.writer import VideoWriter

MATRICES = [BT709, BT470BG, SMPTE170M, SMPTE240M, BT2020]
STEPS = 41


def triples(tags: ColorTags, bits: int) -> np.ndarray:
    """(3,H,W): code values of a dense grid of YUV triples that are colours, that is, lie in the RGB cube.

    Others exist in files; they are clamped to the nearest face of the cube, as every display does.
    """
    step = 2 ** (bits - 8)
    luma, chroma = ((0, 255), (0, 255)) if tags.full_range else ((16, 235), (16, 240))
    grid = np.meshgrid(*(np.linspace(low * step, high * step, STEPS) for low, high in (luma, chroma, chroma)))
    values = np.stack([np.rint(axis).ravel() for axis in grid])
    peak = 2**bits - 1
    scale = np.array([peak, peak, peak] if tags.full_range else [219 * step, 224 * step, 224 * step], float)
    offset = np.array([0 if tags.full_range else 16 * step, 128 * step, 128 * step], float)
    rgb = np.linalg.inv(yuv_matrix(tags.matrix)) @ ((values - offset[:, None]) / scale[:, None])
    inside = values[:, ((rgb >= 0) & (rgb <= 1)).all(axis=0)].astype(np.uint16 if bits > 8 else np.uint8)
    width = 64
    return inside[:, : inside.shape[1] // width * width].reshape(3, -1, width)


def make_frame(values: np.ndarray, tags: ColorTags, bits: int) -> av.VideoFrame:
    frame = av.VideoFrame(values.shape[2], values.shape[1], "yuv444p" if bits == 8 else "yuv444p10le")
    for plane, samples in zip(frame.planes, values, strict=True):
        lines = np.frombuffer(plane, samples.dtype).reshape(plane.height, -1)
        lines[:, : plane.width] = samples
    frame.colorspace, frame.color_primaries, frame.color_trc = tags.matrix, tags.primaries, tags.transfer
    frame.color_range = 2 if tags.full_range else 1
    return frame


def planes(frame: av.VideoFrame, bits: int) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    lines = [np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]
    return np.stack(lines).astype(int)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_every_colour_survives_rgb(matrix: int, full_range: bool, bits: int) -> None:
    tags = ColorTags(matrix, matrix, matrix, full_range)
    values = triples(tags, bits)
    assert values.shape[1] > 100
    frame = make_frame(values, tags, bits)
    back = from_rgb(to_rgb(frame, tags), frame.format.name, tags)
    assert np.abs(planes(back, bits) - values).max() <= 1


@pytest.mark.parametrize("matrix", [BT709, SMPTE170M, BT2020])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_every_colour_survives_a_file(tmp_path: Path, matrix: int, full_range: bool, bits: int) -> None:
    tags = ColorTags(matrix, 1, 1, full_range)
    values = triples(tags, bits)
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height = values.shape[2], values.shape[1]
        frame = make_frame(values, tags, bits)
        stream.pix_fmt = frame.format.name
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = matrix, 1, 1
        context.color_range = 2 if full_range else 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    reader = VideoReader(source)
    assert (reader.info.color.matrix, reader.info.color.full_range) == (matrix, full_range)
    spec = VideoSpec(
        values.shape[2], values.shape[1], Fraction(1, 1000), Fraction(25), Fraction(1), reader.info.color, bits
    )
    with VideoWriter(output, spec, EncodeConfig(codec="ffv1")) as writer:
        for read in reader:
            writer.write(read.image, read.pts, read.duration)
    with av.open(str(output)) as container:
        (written,) = container.decode(video=0)
        assert (int(written.colorspace), int(written.color_range)) == (matrix, 2 if full_range else 1)
        assert np.abs(planes(written, bits) - values).max() <= 1
