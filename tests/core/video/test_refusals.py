"""Sizes, counts and qualities at the edge: they work, or are refused before any work."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import EncoderError
from textovsr.core.video.color import BT709, BT2020, PQ, ColorTags, from_rgb
from textovsr.core.video.encoders import VideoSpec, check_stream
from textovsr.core.video.hdr import HdrMetadata
from textovsr.core.video.probe import probe
from textovsr.core.video.writer import VideoWriter

HD = ColorTags(BT709, 1, 1, False)
SUFFIXES = [("h264", "mp4"), ("hevc", "mp4"), ("av1", "mp4"), ("prores", "mov"), ("ffv1", "mkv"), ("png", "mov")]


def spec(width: int, height: int, bits: int = 8, color: ColorTags = HD) -> VideoSpec:
    return VideoSpec(width, height, Fraction(1, 25), Fraction(25), Fraction(1), color, bits)


def noise(count: int, width: int, height: int) -> torch.Tensor:
    """(T,3,H,W) in steps of 4x4 pixels."""
    small = torch.rand(count, 3, -(-height // 4), -(-width // 4), generator=torch.Generator().manual_seed(0))
    return small.repeat_interleave(4, 2).repeat_interleave(4, 3)[:, :, :height, :width]


def write(path: Path, images: torch.Tensor, stream: VideoSpec, encode: EncodeConfig) -> list[str]:
    with VideoWriter(path, stream, encode) as writer:
        for index, image in enumerate(images):
            writer.write(image, index, 1)
    return writer.notes


def write_at(writer: VideoWriter, pts: list[int]) -> None:
    for time in pts:
        writer.write(torch.rand(3, 64, 64), time)


def frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize(("codec", "suffix"), SUFFIXES)
@pytest.mark.parametrize("size", [(16, 16), (17, 16), (16, 17), (31, 33), (130, 34)])
def test_every_size_and_count(tmp_path: Path, codec: str, suffix: str, size: tuple[int, int]) -> None:
    for count in (1, 2, 3):
        path = tmp_path / f"{count}.{suffix}"
        write(path, noise(count, *size), spec(*size), EncodeConfig(codec=codec))  # type: ignore[arg-type]
        found = frames(path)
        assert [(f.width, f.height) for f in found] == [size] * count
        assert [f.pts * f.time_base for f in found] == [Fraction(i, 25) for i in range(count)]
        with av.open(str(path)) as container:
            assert next(container.demux(video=0)).is_keyframe


def test_av1_of_flat_pictures_ends() -> None:
    """SVT-AV1 with several threads waits for ever on them, so this runs beside the tests, and may be ended."""
    code = (
        "from textovsr.tests.core.video.test_refusals import *; import tempfile;"
        "write(Path(tempfile.mkdtemp(), 'a.mp4'), noise(3, 130, 16), spec(130, 16), EncodeConfig(codec='av1'))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=600, check=False).returncode == 0


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("bits", [8, 10])
def test_a_crf_of_0_loses_nothing(tmp_path: Path, codec: str, bits: int) -> None:
    images, stream = noise(3, 64, 64), spec(64, 64, bits)
    write(tmp_path / "a.mp4", images, stream, EncodeConfig(codec=codec, crf=0))  # type: ignore[arg-type]
    for image, found in zip(images, frames(tmp_path / "a.mp4"), strict=True):
        np.testing.assert_array_equal(found.to_ndarray(), from_rgb(image, found.format.name, HD).to_ndarray())


@pytest.mark.parametrize(("codec", "size"), [("h264", (20000, 64)), ("hevc", (16384, 16384)), ("av1", (64, 9000))])
def test_a_size_that_is_refused_is_known_before_any_work(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    encode = EncodeConfig(codec=codec)  # type: ignore[arg-type]
    expected = rf"to take {size[0]}x{size[1]} yuv420p, .* choose another codec or size"
    with pytest.raises(EncoderError, match=expected):
        check_stream(spec(*size), encode)
    with pytest.raises(EncoderError, match=expected):
        VideoWriter(tmp_path / "a.mp4", spec(*size), encode)
    assert list(tmp_path.iterdir()) == []
    check_stream(spec(64, 64), encode)


def test_what_the_muxer_refuses_is_our_error(tmp_path: Path) -> None:
    """FFmpeg's errors are no OSError unless the system raised them."""
    path = tmp_path / "a.mp4"
    with (
        pytest.raises(EncoderError, match="Expected to write"),
        VideoWriter(path, spec(64, 64), EncodeConfig()) as writer,
    ):
        write_at(writer, [0, 2**62])
    assert not path.exists()


def test_hdr_in_eight_bits_is_stored_in_ten(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", noise(1, 64, 64), spec(64, 64, 8, ColorTags(BT2020, 9, PQ, False)), EncodeConfig())
    assert probe(tmp_path / "a.mp4").bit_depth == 10


@pytest.mark.parametrize(("codec", "suffix"), [("prores", "mov"), ("ffv1", "mkv")])
def test_hdr_metadata_that_is_left_out_is_told(tmp_path: Path, codec: str, suffix: str) -> None:
    stream = VideoSpec(
        64,
        64,
        Fraction(1, 25),
        Fraction(25),
        Fraction(1),
        ColorTags(BT2020, 9, PQ, False),
        10,
        HdrMetadata(max_cll=1000),
    )
    (note,) = write(tmp_path / f"a.{suffix}", noise(1, 64, 64), stream, EncodeConfig(codec=codec))  # type: ignore[arg-type]
    assert "leaves out the HDR mastering display and light levels" in note
