"""Encoders: repeatable, joinable, honest about hardware and HDR."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from torch import Tensor

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import EncoderError
from textovsr.core.video import encoders
from textovsr.core.video.color import BT709, BT2020, HLG, PQ, ColorTags
from textovsr.core.video.encoders import VideoSpec, check_encoding, check_output, choose_encoder
from textovsr.core.video.hdr import HdrMetadata
from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.writer import VideoWriter
from textovsr.tests.helpers.frames import decoded

HD = ColorTags(BT709, 1, 1, False)
HDR10 = ColorTags(BT2020, 9, PQ, False)
DISPLAY = HdrMetadata(
    red=(Fraction(34000, 50000), Fraction(16000, 50000)),
    green=(Fraction(13250, 50000), Fraction(34500, 50000)),
    blue=(Fraction(7500, 50000), Fraction(3000, 50000)),
    white=(Fraction(15635, 50000), Fraction(16450, 50000)),
    min_luminance=Fraction(1, 10000),
    max_luminance=Fraction(1000),
    max_cll=1000,
    max_fall=400,
)
SUFFIXES = [("h264", "mp4"), ("hevc", "mp4"), ("av1", "mp4"), ("prores", "mov"), ("ffv1", "mkv"), ("png", "mov")]


def spec(color: ColorTags = HD, bits: int = 8, hdr: HdrMetadata | None = None) -> VideoSpec:
    return VideoSpec(96, 64, Fraction(1, 25), Fraction(25), Fraction(1), color, bits, hdr)


def write(path: Path, images: Tensor, stream: VideoSpec, encode: EncodeConfig) -> VideoWriter:
    with VideoWriter(path, stream, encode) as writer:
        for index, image in enumerate(images):
            writer.write(image, index, 1)
    return writer


def moving(frames: int, seed: int) -> Tensor:
    """(T,3,64,96): random blocks that drift."""
    wide = torch.rand(3, 16, 40, generator=torch.Generator().manual_seed(seed)).repeat_interleave(4, 1)
    wide = wide.repeat_interleave(4, 2)
    return torch.stack([wide[:, :, i % 60 : i % 60 + 96] for i in range(frames)])


@pytest.mark.parametrize(("codec", "suffix"), SUFFIXES)
def test_the_same_frames_give_the_same_picture(tmp_path: Path, codec: str, suffix: str) -> None:
    """A resumed job must match itself: x264 with AVX-512, its macroblock trees and B-frames does not, left alone."""
    images = moving(40, 0)
    for index in range(3):
        write(tmp_path / f"{index}.{suffix}", images, spec(), EncodeConfig(codec=codec))  # type: ignore[arg-type]
    first, *others = (decoded(tmp_path / f"{index}.{suffix}") for index in range(3))
    assert all(other == first for other in others)


@pytest.mark.parametrize("bits", [8, 10])
def test_x265_repeats_itself_on_a_picture_of_one_block(tmp_path: Path, bits: int) -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images = images.repeat_interleave(4, 2).repeat_interleave(4, 3)
    stream = VideoSpec(64, 64, Fraction(1, 25), Fraction(25), Fraction(1), HD, bits)
    seen = set()
    for _ in range(25):
        write(tmp_path / "a.mp4", images, stream, EncodeConfig(codec="hevc"))
        seen.add(tuple(picture for _, picture in decoded(tmp_path / "a.mp4")))
    assert len(seen) == 1


NARROW = """
import sys
from textovsr.tests.core.video.test_encoders import *
stream = VideoSpec(48, 64, Fraction(1, 25), Fraction(25), Fraction(1), HD)
write(Path(sys.argv[1]), moving(8, 0)[..., :48], stream, EncodeConfig(codec="hevc"))
"""


def test_x265_stays_within_its_memory_on_narrow_pictures(tmp_path: Path) -> None:
    """In a process of its own, since writing over other memory ends one."""
    subprocess.run([sys.executable, "-c", NARROW, str(tmp_path / "a.mp4")], check=True, timeout=600)
    assert probe(tmp_path / "a.mp4").frames == 8


def test_av1_takes_slow_motion(tmp_path: Path) -> None:
    stream = replace(spec(), time_base=Fraction(1, 480), frame_rate=Fraction(480))
    write(tmp_path / "a.mp4", moving(4, 0), stream, EncodeConfig(codec="av1"))
    assert [time for time, _ in decoded(tmp_path / "a.mp4")] == [Fraction(n, 480) for n in range(4)]


@pytest.mark.parametrize(("bits", "preset"), [(8, "medium"), (8, "ultrafast"), (10, "medium"), (10, "ultrafast")])
def test_av1_keeps_pictures_that_all_differ(tmp_path: Path, bits: int, preset: str) -> None:
    blocks = torch.rand(12, 1, 6, 8, generator=torch.Generator().manual_seed(0)).round()
    images = blocks.repeat_interleave(32, 2).repeat_interleave(32, 3).expand(-1, 3, -1, -1)
    stream = VideoSpec(256, 192, Fraction(1, 25), Fraction(25), Fraction(1), HD, bits)
    write(tmp_path / "a.mkv", images, stream, EncodeConfig("av1", crf=6, preset=preset))
    seen = torch.stack([frame.image for frame in VideoReader(tmp_path / "a.mkv")])
    errors = (seen - images).square().mean(dim=(1, 2, 3))
    assert errors.max() < 1e-4  # 40 dB


def test_x264_keeps_away_from_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {}
    for capability in ("AVX2", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda found=capability: found)
        options[capability] = choose_encoder(Path("a.mp4"), spec(), EncodeConfig()).options.get("x264-params", "")
    assert options == {"AVX2": "", "AVX512": "asm=avx2"}


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_carried_in_ten_bits_with_its_metadata(tmp_path: Path, codec: str, transfer: int) -> None:
    stream = spec(ColorTags(BT2020, 9, transfer, False), 10, DISPLAY)
    writer = write(tmp_path / "a.mp4", moving(3, 0), stream, EncodeConfig(codec=codec))  # type: ignore[arg-type]
    info = probe(tmp_path / "a.mp4")
    assert (info.bit_depth, info.color.transfer, info.color.matrix, info.color.primaries) == (10, transfer, BT2020, 9)
    assert writer.notes == []
    assert info.hdr is not None
    assert (info.hdr.max_cll, info.hdr.max_fall) == (1000, 400)
    for name in ("red", "green", "blue", "white"):
        found, expected = getattr(info.hdr, name), getattr(DISPLAY, name)
        assert [float(x) for x in found] == pytest.approx([float(x) for x in expected], abs=2e-5)
    assert float(info.hdr.max_luminance or 0) == pytest.approx(1000, rel=1e-3)
    assert float(info.hdr.min_luminance or 0) == pytest.approx(1e-4, abs=1e-4)


def test_hdr_in_eight_bits_is_told(tmp_path: Path) -> None:
    stream, eight = spec(HDR10, 10), EncodeConfig(bit_depth=8)
    (note,) = write(tmp_path / "a.mp4", moving(2, 0), stream, eight).notes
    assert "choose 10 bits" in note
    assert write(tmp_path / "b.mp4", moving(2, 0), spec(bits=10), eight).notes == []


def test_video_that_is_not_hdr_gets_none(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", moving(2, 0), spec(HD, 10, DISPLAY), EncodeConfig(codec="hevc"))
    assert probe(tmp_path / "a.mp4").hdr is None


@pytest.mark.parametrize(("depth", "peak"), [(8, 255), (10, 65535)])
def test_png_keeps_every_value_of_rgb(tmp_path: Path, depth: int, peak: int) -> None:
    values = torch.randint(0, peak + 1, (2, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    write(tmp_path / "a.mov", values.double() / peak, spec(bits=depth), EncodeConfig(codec="png"))
    with av.open(str(tmp_path / "a.mov")) as container:
        frames = list(container.decode(video=0))
    pixels = [torch.from_numpy(frame.to_ndarray().astype("int64")).permute(2, 0, 1) for frame in frames]
    assert frames[0].format.name == ("rgb24" if depth == 8 else "rgb48be")
    assert torch.equal(torch.stack(pixels), values)


def test_every_png_packet_is_a_picture(tmp_path: Path) -> None:
    write(tmp_path / "a.mov", moving(2, 0), spec(), EncodeConfig(codec="png"))
    with av.open(str(tmp_path / "a.mov")) as container:
        assert [bytes(p)[:8] for p in container.demux(video=0) if p.size] == [b"\x89PNG\r\n\x1a\n"] * 2


def test_pictures_go_into_a_folder() -> None:
    check_output(Path("frames"), EncodeConfig(codec="png"))
    check_output(Path("a.mp4"), EncodeConfig())
    with pytest.raises(EncoderError, match=r"name of a folder for pictures, got a\.mp4; leave out \.mp4"):
        check_output(Path("a.mp4"), EncodeConfig(codec="png"))


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_without_an_encoder_in_hardware_it_is_said(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_opens", lambda *_: False)
    with pytest.raises(EncoderError, match=rf"{codec}_nvenc, {codec}_qsv, .* found none that opens .* hardware off"):
        check_encoding(Path("a.mp4"), EncodeConfig(codec=codec, hardware=True))  # type: ignore[arg-type]


def test_hardware_is_tried_for_real() -> None:
    """Whatever this machine has, the answer is an encoder that opens or our error."""
    try:
        name = check_encoding(Path("a.mp4"), EncodeConfig(hardware=True))
    except EncoderError as error:
        assert "switch hardware off" in str(error)  # noqa: PT017  (either outcome is right)
    else:
        assert name.startswith("h264_")


def test_an_encoder_that_was_busy_is_tried_again() -> None:
    """What opens is not opened twice; libx264 stands for one in hardware, which takes no such format."""
    encoders._open_once.cache_clear()
    assert not encoders._opens("libx264", "p010le")
    assert encoders._open_once.cache_info().currsize == 0
    assert encoders._opens("libx264", "yuv420p")
    assert encoders._opens("libx264", "yuv420p")
    assert encoders._open_once.cache_info().hits == 1


def test_other_codecs_have_no_hardware() -> None:
    with pytest.raises(EncoderError, match="prores_nvenc"):
        check_encoding(Path("a.mov"), EncodeConfig(codec="prores", hardware=True))


@pytest.mark.gpu
@pytest.mark.parametrize(("codec", "depth"), [("h264", 8), ("hevc", 8), ("hevc", 10), ("av1", 8)])
def test_nvenc_encodes(tmp_path: Path, codec: str, depth: int) -> None:
    images = torch.nn.functional.interpolate(moving(12, 0), scale_factor=4)
    stream = VideoSpec(384, 256, Fraction(1, 25), Fraction(25), Fraction(1), HD, depth)
    encode = EncodeConfig(codec=codec, hardware=True)  # type: ignore[arg-type]
    assert choose_encoder(tmp_path / "a.mp4", stream, encode).name == f"{codec}_nvenc"
    write(tmp_path / "a.mp4", images, stream, encode)
    assert len(decoded(tmp_path / "a.mp4")) == 12
    assert probe(tmp_path / "a.mp4").bit_depth == depth


def test_hardware_needs_even_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_opens", lambda *_: True)
    odd = VideoSpec(97, 64, Fraction(1, 25), Fraction(25), Fraction(1), HD)
    with pytest.raises(EncoderError, match="Expected even sizes"):
        choose_encoder(Path("a.mp4"), odd, EncodeConfig(hardware=True))
