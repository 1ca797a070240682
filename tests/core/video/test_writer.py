"""Writing: what was written is read back, at its own time, in its own colours."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.config import SUFFIX, EncodeConfig
from textovsr.core.errors import EncoderError, SettingError, ShapeError
from textovsr.core.video.color import ColorTags
from textovsr.core.video.encoders import VideoSpec, check_encoding, choose_encoder
from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.writer import VideoWriter

HD = ColorTags(1, 1, 1, False)
KINDS = [
    ("h264", "mp4"), ("h264", "mov"), ("h264", "mkv"),
    ("hevc", "mp4"), ("hevc", "mov"), ("hevc", "mkv"),
    ("av1", "mp4"), ("av1", "mkv"), ("av1", "webm"),
    ("prores", "mov"), ("prores", "mkv"),
    ("ffv1", "mkv"),
]  # fmt: skip


def spec(images: Tensor, *, time_base: Fraction = Fraction(1, 1000), color: ColorTags = HD, bits: int = 8) -> VideoSpec:
    return VideoSpec(images.shape[3], images.shape[2], time_base, Fraction(25), Fraction(1), color, bits)


def write(path: Path, images: Tensor, stream: VideoSpec, encode: EncodeConfig, pts: list[int] | None = None) -> None:
    with VideoWriter(path, stream, encode) as writer:
        write_all(writer, images, pts or list(range(0, 40 * len(images), 40)))


def write_all(writer: VideoWriter, images: Tensor, pts: list[int]) -> None:
    for image, time in zip(images, pts, strict=True):
        writer.write(image, time, 40)


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
@pytest.mark.parametrize("odd", [False, True])
def test_every_codec_and_container(tmp_path: Path, smooth_clip: Tensor, codec: str, suffix: str, odd: bool) -> None:
    images = smooth_clip[:, :, :19, :17] if odd else smooth_clip
    path = tmp_path / f"a.{suffix}"
    write(path, images, spec(images), EncodeConfig(codec=codec, crf=4))
    reader = VideoReader(path)
    frames = list(reader)
    assert (reader.info.width, reader.info.height) == (images.shape[3], images.shape[2])
    assert reader.info.color == HD
    assert [f.pts * reader.info.time_base for f in frames] == [Fraction(i, 25) for i in range(8)]
    # 4:2:0 halves the chroma of a clip whose colours change every 11 pixels
    assert (torch.stack([f.image for f in frames]) - images).abs().mean() < 0.02


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    codec=st.sampled_from(["h264", "hevc", "av1"]),
    time_base=st.sampled_from(
        [Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(66_667, 1_000_000), Fraction(1, 600)]
    ),
    steps=st.lists(st.integers(1, 900), min_size=1, max_size=40),
    first=st.integers(0, 200_000),
)
def test_mp4_times_are_exact(tmp_path: Path, codec: str, time_base: Fraction, steps: list[int], first: int) -> None:
    pts = [first + sum(steps[:i]) for i in range(len(steps))]
    images = torch.rand(len(pts), 3, 64, 64, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "a.mp4"
    write(path, images, spec(images, time_base=time_base), EncodeConfig(codec=codec, crf=40), pts)
    reader = VideoReader(path)
    assert [f.pts * reader.info.time_base for f in reader] == [p * time_base for p in pts]


@pytest.mark.parametrize(
    "color",
    [HD, ColorTags(6, 6, 6, False), ColorTags(5, 5, 6, True), ColorTags(9, 9, 16, False), ColorTags(1, 1, 13, True)],
)
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_colour_tags_are_those_of_the_source(tmp_path: Path, smooth_clip: Tensor, codec: str, color: ColorTags) -> None:
    path = tmp_path / "a.mp4"
    write(path, smooth_clip, spec(smooth_clip, color=color), EncodeConfig(codec=codec, crf=4))
    reader = VideoReader(path)
    assert reader.info.color == color
    image = next(iter(reader)).image
    assert (image - smooth_clip[0]).mean(dim=(1, 2)).abs().max() < 0.004  # one code value of 8 bits


def test_ten_bits_follow_the_source(tmp_path: Path, smooth_clip: Tensor) -> None:
    path = tmp_path / "a.mkv"
    write(path, smooth_clip, spec(smooth_clip, bits=10), EncodeConfig(codec="ffv1"))
    assert probe(path).bit_depth == 10
    for frame, image in zip(VideoReader(path), smooth_clip, strict=True):
        torch.testing.assert_close(frame.image, image, atol=2 / 876, rtol=0)  # chroma of BT.709: up to 1.86 code values


@pytest.mark.parametrize(("codec", "subsampling"), [("h264", "444"), ("prores", "444"), ("av1", "420")])
def test_odd_sizes_are_not_cropped(codec: str, subsampling: str) -> None:
    odd = VideoSpec(17, 19, Fraction(1, 25), Fraction(25), Fraction(1), HD)
    encoder = choose_encoder(Path(f"a{SUFFIX[codec]}"), odd, EncodeConfig(codec=codec))
    assert encoder.pixel_format.startswith(f"yuv{subsampling}p")


def test_the_configuration_can_ask_for_a_depth() -> None:
    deep = VideoSpec(16, 16, Fraction(1, 25), Fraction(25), Fraction(1), HD, 10)
    assert choose_encoder(Path("a.mp4"), deep, EncodeConfig()).pixel_format == "yuv420p10le"
    assert choose_encoder(Path("a.mp4"), deep, EncodeConfig(bit_depth=8)).pixel_format == "yuv420p"


def test_hevc_in_mp4_plays_on_apple_devices(tmp_path: Path, smooth_clip: Tensor) -> None:
    write(tmp_path / "a.mp4", smooth_clip, spec(smooth_clip), EncodeConfig(codec="hevc"))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_pixel_aspect_is_kept(tmp_path: Path, smooth_clip: Tensor, codec: str) -> None:
    stream = VideoSpec(64, 48, Fraction(1, 25), Fraction(25), Fraction(16, 15), HD)
    write(tmp_path / "a.mkv", smooth_clip, stream, EncodeConfig(codec=codec))
    assert probe(tmp_path / "a.mkv").sample_aspect_ratio == Fraction(16, 15)


def test_an_exception_leaves_no_file(tmp_path: Path, smooth_clip: Tensor) -> None:
    path = tmp_path / "a.mp4"
    with (
        pytest.raises(SettingError, match="a pts after 0"),
        VideoWriter(path, spec(smooth_clip), EncodeConfig()) as writer,
    ):
        write_all(writer, smooth_clip[:2], [0, 0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "codec", "message"),
    [
        ("a.webm", "h264", "codec that .webm holds: av1"),
        ("a.avi", "h264", "codec that .avi holds: nothing"),
        ("a", "h264", "no suffix"),
        ("a.mp4", "ffv1", "Expected ffv1 in .mkv"),
        ("a.mp4", "theora", "Expected a codec out of h264"),
    ],
)
def test_what_does_not_go_together_is_said_before_any_work(name: str, codec: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        check_encoding(Path(name), EncodeConfig(codec=codec))


def test_quality_has_a_range() -> None:
    with pytest.raises(SettingError, match="crf from 0"):
        check_encoding(Path("a.mp4"), EncodeConfig(crf=52))


def test_a_missing_folder_is_named(tmp_path: Path, smooth_clip: Tensor) -> None:
    with pytest.raises(EncoderError, match="check folder, rights and disk"):
        VideoWriter(tmp_path / "none" / "a.mp4", spec(smooth_clip), EncodeConfig())


def test_frames_must_fit_and_follow(tmp_path: Path, smooth_clip: Tensor) -> None:
    with VideoWriter(tmp_path / "a.mp4", spec(smooth_clip), EncodeConfig()) as writer:
        with pytest.raises(ShapeError, match=r"shape \(3, 48, 64\)"):
            writer.write(smooth_clip[0, :, :40], 0)
        writer.write(smooth_clip[0].half(), 5)
        with pytest.raises(SettingError, match="a pts after 5, got 5"):
            writer.write(smooth_clip[1], 5)
