"""Describing files: what is in them, and what is wrong with them."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from textovsr.core.errors import EmptyVideoError, NotAVideoError, VideoNotFoundError
from textovsr.core.video.hdr import HdrMetadata
from textovsr.core.video.probe import Orientation, average_rate, probe

MakeClip = Callable[[str, Any], Path]


def test_everything_is_described(make_clip: MakeClip, clip_type: Any) -> None:
    path = make_clip(
        "a.mkv",
        clip_type(
            aspect=Fraction(4, 3), audio="libopus", subtitles="subrip", chapters=((0, 400),), metadata={"title": "x"}
        ),
    )
    info = probe(path)
    assert (info.width, info.height, info.codec, info.pixel_format, info.bit_depth) == (64, 32, "h264", "yuv420p", 8)
    assert (info.sample_aspect_ratio, info.frame_rate, info.rotation) == (Fraction(4, 3), Fraction(25), 0)
    assert (info.start_time, info.duration, info.frames, info.chapters) == (0, Fraction(4, 5), 20, 1)
    assert [(s.codec, s.language, s.channels) for s in info.audio] == [("opus", "fra", 2)]
    assert [(s.codec, s.language) for s in info.subtitles] == [("subrip", "eng")]
    assert info.metadata["title"] == "x"


def test_the_description_is_plain_json(make_clip: MakeClip, clip_type: Any) -> None:
    values = json.loads(json.dumps(probe(make_clip("a.mp4", clip_type(audio="aac"))).as_dict()))
    assert values["frame_rate"] == "25"
    assert values["audio"][0]["sample_rate"] == 48_000
    assert values["rotation"] == 0


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_size_and_aspect_are_those_of_the_upright_picture(
    make_clip: MakeClip, clip_type: Any, rotation: int, mirrored: bool
) -> None:
    clip = clip_type(rotation=rotation, mirrored=mirrored, aspect=Fraction(4, 3))
    info = probe(make_clip("a.mp4", clip))
    turned = rotation % 180 == 90
    assert (info.width, info.height) == ((32, 64) if turned else (64, 32))
    assert info.sample_aspect_ratio == (Fraction(3, 4) if turned else Fraction(4, 3))
    assert info.orientation.mirrored == mirrored
    if not mirrored:
        assert info.rotation == rotation


def test_rotation_is_clockwise() -> None:
    image = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    assert Orientation(True, True, False).rotation == 90
    assert Orientation(True, True, False).apply(image)[0].tolist() == [[4, 1], [5, 2], [6, 3]]
    assert Orientation(True, False, True).rotation == 270
    assert Orientation(True, False, True).apply(image)[0].tolist() == [[3, 6], [2, 5], [1, 4]]
    assert Orientation(False, True, True).apply(image)[0].tolist() == [[6, 5, 4], [3, 2, 1]]
    assert Orientation(False, True, False).apply(image)[0].tolist() == [[3, 2, 1], [6, 5, 4]]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoNotFoundError, match=r"nothing\.mp4, which does not exist"):
        probe(tmp_path / "nothing.mp4")


def test_a_folder_is_not_a_video(tmp_path: Path) -> None:
    with pytest.raises(NotAVideoError, match="got the folder"):
        probe(tmp_path)


@pytest.mark.parametrize(("content", "message"), [(b"", "0 bytes"), (b"not a video" * 99, "FFmpeg cannot open")])
def test_other_files_are_not_videos(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(NotAVideoError, match=message):
        probe(path)


def test_sound_alone_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    write_sound(path, cover=False)
    with pytest.raises(NotAVideoError, match="got only audio"):
        probe(path)


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    write_sound(path, cover=True)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(NotAVideoError, match="got only audio"):
        probe(path)


def test_a_file_without_frames_is_empty(make_clip: MakeClip, clip_type: Any) -> None:
    path = make_clip("a.mkv", clip_type(codec="ffv1"))
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for position, size in packets:
        data[position : position + size + 8] = bytes(size + 8)
    path.write_bytes(data)
    with pytest.raises(EmptyVideoError, match="got none"):
        probe(path)


def write_sound(path: Path, *, cover: bool) -> None:
    with av.open(str(path), "w", format="mp4") as output:
        audio = output.add_stream("aac", rate=48_000)
        if cover:
            picture = output.add_stream("mjpeg", rate=1)
            picture.width = picture.height = 16
            picture.pix_fmt = "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        if cover:
            image = av.VideoFrame(16, 16, "yuvj420p")
            output.mux(picture.encode(image))
            output.mux(picture.encode(None))
        output.mux(audio.encode(frame))
        output.mux(audio.encode(None))


def test_empty_places_of_an_avi_are_no_frames(webcam_clip: Path) -> None:
    assert probe(webcam_clip).frames == 16


def test_hdr_metadata_is_read(make_clip: MakeClip, clip_type: Any) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    params = f"log-level=error:master-display={display}:max-cll=1000,400"
    clip = clip_type(codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": params})
    info = probe(make_clip("a.mp4", clip))
    assert info.hdr == HdrMetadata(
        red=(Fraction(17, 25), Fraction(8, 25)),
        green=(Fraction(53, 200), Fraction(69, 100)),
        blue=(Fraction(3, 20), Fraction(3, 50)),
        white=(Fraction(3127, 10_000), Fraction(329, 1000)),
        min_luminance=Fraction(1, 200),
        max_luminance=Fraction(1000),
        max_cll=1000,
        max_fall=400,
    )
    assert json.loads(json.dumps(info.as_dict()))["hdr"]["white"] == ["3127/10000", "329/1000"]
    assert probe(make_clip("b.mp4", clip_type())).hdr is None


@pytest.mark.parametrize(("name", "code"), [("smpte2084", 16), ("arib-std-b67", 18)])
def test_pq_and_hlg_are_read(make_clip: MakeClip, clip_type: Any, name: str, code: int) -> None:
    params = f"log-level=error:transfer={name}:colorprim=bt2020:colormatrix=bt2020nc"
    clip = clip_type(codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": params})
    info = probe(make_clip("a.mkv", clip))
    assert (info.color.transfer, info.color.primaries, info.color.matrix, info.bit_depth) == (code, 9, 9, 10)


def test_frames_are_counted_or_estimated(make_clip: MakeClip, clip_type: Any) -> None:
    counted = probe(make_clip("a.mp4", clip_type()))
    assert (counted.frames, counted.counted, counted.stored_duration) == (20, True, Fraction(4, 5))
    guessed = probe(make_clip("a.ts", clip_type()))
    assert (guessed.frames, guessed.counted, guessed.stored_duration) == (20, False, None)


@pytest.mark.parametrize(("tag", "expected"), [(b"DURATION", Fraction(1, 5)), (b"DURATIOM", None)])
def test_the_length_of_the_picture_is_not_that_of_the_file(
    make_clip: MakeClip, clip_type: Any, tag: bytes, expected: Fraction | None
) -> None:
    """Matroska's header tells that of the longest stream; a tag, which not every file has, that of each."""
    path = make_clip("a.mkv", clip_type(pts=range(5), subtitles="subrip", chapters=((0, 100),)))
    path.write_bytes(path.read_bytes().replace(b"DURATION", tag))
    assert probe(path).stored_duration == expected


@pytest.mark.parametrize(
    ("average", "guessed", "base", "expected"),
    [
        (Fraction(25), Fraction(50), Fraction(1, 12_800), Fraction(25)),
        (Fraction(25), Fraction(25), Fraction(1, 25), Fraction(25)),
        (Fraction(1000), Fraction(24), Fraction(1, 1000), Fraction(24)),
        (Fraction(12_800), Fraction(1000), Fraction(1, 1000), Fraction(25)),
        (None, Fraction(0), None, Fraction(25)),
    ],
)
def test_the_unit_of_times_is_not_taken_for_a_rate(
    average: Fraction | None, guessed: Fraction, base: Fraction | None, expected: Fraction
) -> None:
    """H.264 by x264 in Matroska that does not say how long frames are: FFmpeg's average is 1000."""
    stream: Any = SimpleNamespace(average_rate=average, guessed_rate=guessed, time_base=base)
    assert average_rate(stream) == expected
