"""The shape of pixels in Matroska and WebM."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import EncoderError
from textovsr.core.video.color import BT709, ColorTags
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.matroska import store_aspect
from textovsr.core.video.mux import mux
from textovsr.core.video.probe import probe
from textovsr.core.video.writer import VideoWriter
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.frames import decoded

KINDS = [("av1", "mkv"), ("av1", "webm"), ("prores", "mkv"), ("ffv1", "mkv"), ("h264", "mkv")]


def write(path: Path, codec: str, aspect: Fraction) -> list[str]:
    stream = VideoSpec(64, 48, Fraction(1, 25), Fraction(25), aspect, ColorTags(BT709, 1, 1, False))
    images = torch.rand(4, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    with VideoWriter(path, stream, EncodeConfig(codec=codec)) as writer:  # type: ignore[arg-type]
        for index, image in enumerate(images):
            writer.write(image, index, 1)
    return writer.notes


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
@pytest.mark.parametrize("aspect", [Fraction(16, 15), Fraction(8, 9), Fraction(40, 33), Fraction(1501, 1000)])
def test_the_shape_of_pixels_is_kept(tmp_path: Path, codec: str, suffix: str, aspect: Fraction) -> None:
    assert write(tmp_path / f"a.{suffix}", codec, aspect) == []
    write(tmp_path / f"b.{suffix}", codec, Fraction(1))
    assert probe(tmp_path / f"a.{suffix}").sample_aspect_ratio == aspect
    assert probe(tmp_path / f"b.{suffix}").sample_aspect_ratio == 1
    assert decoded(tmp_path / f"a.{suffix}") == decoded(tmp_path / f"b.{suffix}")


@pytest.mark.parametrize(
    ("codec", "segment", "suffix"),
    [
        ("av1", "mp4", "mkv"),
        ("av1", "mp4", "webm"),
        ("ffv1", "mkv", "mkv"),
        ("av1", "mkv", "mp4"),
        ("prores", "mkv", "mov"),
    ],
)
def test_joining_keeps_it(tmp_path: Path, codec: str, segment: str, suffix: str) -> None:
    picture, output = tmp_path / f"a.{segment}", tmp_path / f"b.{suffix}"
    write(picture, codec, Fraction(16, 15))
    assert mux([picture], picture, output).dropped == []
    assert probe(output).sample_aspect_ratio == Fraction(16, 15)
    assert decoded(output) == decoded(picture)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3\x80")
    with pytest.raises(EncoderError, match="Expected the tracks at the beginning"):
        store_aspect(path, 48, Fraction(64, 45))


def test_many_tracks_leave_much_room_and_what_follows_them_stays(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", Clip(audio=("aac",) * 12, attachment=True))
    written = path.read_bytes()
    assert store_aspect(path, 32, Fraction(4, 3))
    following = written.rindex(b"\x19\x41\xa4\x69")  # Attachments, named in the table of contents too
    assert path.read_bytes()[following:] == written[following:]
    assert probe(path).sample_aspect_ratio == Fraction(2, 3)
    assert len(probe(path).audio) == 12
