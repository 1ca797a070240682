"""Saving: copied where nothing forbids it, else encoded as asked."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from textovsr.core.config import ColorSpace, EncodeConfig
from textovsr.core.errors import SettingError
from textovsr.core.job import Source
from textovsr.core.transcode import codec_for, save_video
from textovsr.core.video.audio import read_audio
from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.films import Film, Sound, make_film, packets_of


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path / "a.mp4", Film(seconds=1.0, sounds=(Sound(seconds=1.0),)))


def copied(film: Path, output: Path) -> bool:
    return [data for _, data in packets_of(film, 0)] == [data for _, data in packets_of(output, 0)]


@pytest.mark.parametrize(
    ("encode", "color_space", "is_copied"),
    [
        (None, "", True),
        (EncodeConfig(), "", True),
        (EncodeConfig(crf=30), "", False),
        (EncodeConfig(bit_depth=10), "", False),
        (EncodeConfig(preset="ultrafast"), "", False),
        (EncodeConfig(codec="hevc"), "", False),
        (None, "bt709", False),
    ],
)
def test_a_wish_means_encoding(
    film: Path, tmp_path: Path, encode: EncodeConfig | None, color_space: ColorSpace, is_copied: bool
) -> None:
    output = tmp_path / "b.mp4"
    save_video(Source(film), output, encode, color_space=color_space)
    assert copied(film, output) is is_copied
    info = probe(output)
    assert info.frames == 25
    assert info.codec == (encode.codec if encode else "h264")
    assert info.bit_depth == (10 if encode and encode.bit_depth == 10 else 8)
    assert [d for _, d in packets_of(output, 1)] == [d for _, d in packets_of(film, 1)]


def test_presets_and_quality_reach_the_encoder(film: Path, tmp_path: Path) -> None:
    def settings(name: str, encode: EncodeConfig) -> str:
        save_video(Source(film), tmp_path / name, encode)
        data = (tmp_path / name).read_bytes()
        at = data.index(b"x264 - core")
        return data[at : at + 1000].decode("latin1")

    assert "me=dia subme=0" in settings("b.mp4", EncodeConfig(preset="ultrafast"))
    assert "crf=33.0" in settings("c.mp4", EncodeConfig(crf=33))
    with pytest.raises(SettingError, match="a preset out of ultrafast"):
        save_video(Source(film), tmp_path / "d.mp4", EncodeConfig(preset="warp"))


@pytest.mark.parametrize(("color_space", "matrix"), [("bt601", 6), ("bt709", 1), ("bt2020", 9)])
def test_another_matrix_shows_the_same_picture(tmp_path: Path, color_space: ColorSpace, matrix: int) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        frame = av.VideoFrame(16, 16, "yuv444p")
        for plane, value in zip(frame.planes, (100, 90, 160), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 1, 1, 1, 1
        output.mux([*stream.encode(frame), *stream.encode(None)])
    save_video(Source(source), tmp_path / "b.mkv", EncodeConfig(codec="ffv1"), color_space=color_space)
    before, after = (next(iter(VideoReader(p))).image for p in (source, tmp_path / "b.mkv"))
    assert probe(tmp_path / "b.mkv").color.matrix == matrix
    assert (before - after).abs().max() < 0.01
    assert copied(source, tmp_path / "b.mkv") is (matrix == 1)


def test_an_unknown_colour_space_is_refused(film: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="a colour space out of bt601, bt709, bt2020, got 'srgb'"):
        save_video(Source(film), tmp_path / "b.mp4", color_space="srgb")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "codec"), [("b.mp4", "h264"), ("b.mkv", "h264"), ("b.webm", "av1"), ("b.MOV", "h264")]
)
def test_a_codec_that_the_container_holds(film: Path, output: str, codec: str) -> None:
    assert codec_for(probe(film), Path(output)) == codec


def test_a_trim_is_encoded_and_begins_at_its_start(film: Path, tmp_path: Path) -> None:
    save_video(Source(film, 0.41, 0.2), tmp_path / "b.mp4", EncodeConfig(crf=10))
    with VideoReader(tmp_path / "b.mp4") as reader:
        times = [frame.pts * reader.info.time_base for frame in reader]
    assert times == [pytest.approx(0.03 + 0.04 * n) for n in range(5)]
    assert times[0] * 100 == 3
    whole = [data for _, data in packets_of(film, 1)]
    assert packets_of(tmp_path / "b.mp4", 1)[0][1] in whole[18:21]


def test_the_sound_of_a_part_is_that_of_the_whole(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mkv", Film(seconds=8.0, sounds=(Sound("pcm_s16le", seconds=8.0),)))
    whole, part = read_audio(film), read_audio(film, 5.0, 1.5)
    assert whole is not None
    assert part is not None
    assert part.waveform.shape == (1, 72_000)
    assert part.waveform.equal(whole.waveform[:, 240_000:312_000])
    assert Fraction(part.sample_rate) == 48_000
