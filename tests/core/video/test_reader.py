"""Reading: every frame once, in order, at its own time, upright."""

import logging
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import EmptyVideoError, SettingError
from textovsr.core.video.reader import VideoReader

MakeClip = Callable[[str, Any], Path]
ReadNumber = Callable[[Tensor], int]

KINDS = {
    "mp4": {},
    "mov": {"codec": "libx265"},
    "mkv": {"codec": "ffv1"},
    "webm": {"codec": "libvpx-vp9"},
    "avi": {"codec": "mpeg4"},
    "mpg": {"codec": "mpeg2video", "width": 96, "height": 64, "options": {"b": "4M"}},
    "ts": {"options": {"preset": "fast"}},
    "gif": {"codec": "gif", "pix_fmt": "rgb8"},
}

MORE_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mjpeg": ("avi", {"codec": "mjpeg", "pix_fmt": "yuvj422p"}),
    "cinepak": ("avi", {"codec": "cinepak", "pix_fmt": "rgb24"}),
    "prores": ("mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
    "dnxhd": ("mov", {"codec": "dnxhd", "pix_fmt": "yuv422p10le", "options": {"profile": "dnxhr_hqx"}}),
    "vp9": ("webm", {"codec": "libvpx-vp9", "pix_fmt": "yuv444p"}),
    "vp8": ("webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "10"}}),
    "av1": ("webm", {"codec": "libsvtav1", "options": {"preset": "8", "crf": "10"}}),
    "av1 10": ("mkv", {"codec": "libsvtav1", "pix_fmt": "yuv420p10le", "options": {"preset": "8", "crf": "10"}}),
    "hevc 10": ("mp4", {"codec": "libx265", "pix_fmt": "yuv420p10le"}),
    "mpeg4 B": ("mp4", {"codec": "mpeg4", "options": {"bf": "2"}}),
    "mpeg2 B": ("ts", {"codec": "mpeg2video", "options": {"bf": "2", "b": "4M"}}),
    "h264 fields": ("ts", {"options": {"preset": "fast", "x264-params": "tff=1", "bf": "2"}}),
}


@pytest.mark.parametrize("suffix", KINDS)
def test_every_frame_is_read_once_in_order(
    make_clip: MakeClip, clip_type: Any, read_number: ReadNumber, suffix: str
) -> None:
    path = make_clip(f"a.{suffix}", clip_type(**KINDS[suffix]))
    with VideoReader(path) as reader:
        frames = list(reader)
        assert [read_number(f.image) for f in frames] == list(range(20))
        steps = {b.pts - a.pts for a, b in pairwise(frames)}
        assert {step * reader.info.time_base for step in steps} == {Fraction(1, 25)}
        assert [f.pts for f in reader] == [f.pts for f in frames]  # a second pass
        assert reader.report.frames == 20
        assert reader.report.lost == []


@pytest.mark.parametrize("kind", MORE_KINDS)
@pytest.mark.parametrize("first", [0, 50])
def test_every_codec_is_read_whole(
    make_clip: MakeClip, clip_type: Any, read_number: ReadNumber, kind: str, first: int
) -> None:
    """From a start offset too; a sound file is reported as such, so that strict takes it."""
    suffix, extra = MORE_KINDS[kind]
    first = 0 if suffix == "avi" else first  # which has none
    big = {"width": 256, "height": 128}
    path = make_clip(f"a.{suffix}", clip_type(pts=range(first, first + 20), **big, **extra))
    with VideoReader(path, strict=True, deinterlace="off") as reader:
        frames = list(reader)
        assert [read_number(f.image) for f in frames] == list(range(20))
        steps = {b.pts - a.pts for a, b in pairwise(frames)}
        assert all(abs(step * reader.info.time_base - Fraction(1, 25)) <= reader.info.time_base for step in steps)
        assert reader.report.lost == []
        assert frames[0].pts == reader.info.start_ticks


def test_the_delays_of_a_gif_are_kept(make_clip: MakeClip, clip_type: Any) -> None:
    times = [0, 10, 15, 40, 41, 90]
    clip = clip_type(codec="gif", pix_fmt="rgb8", pts=times, time_base=Fraction(1, 100))
    frames = list(VideoReader(make_clip("a.gif", clip), strict=True))
    assert [b.pts - a.pts for a, b in pairwise(frames)] == [b - a for a, b in pairwise(times)]


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize(("start", "duration"), [(0.2, 0.2), (0.24, None), (0.76, 1.0), (0.0, 0.04), (0.41, 0.1)])
def test_a_trim_is_the_same_frames_as_reading_all(
    make_clip: MakeClip, clip_type: Any, read_number: ReadNumber, suffix: str, start: float, duration: float | None
) -> None:
    extra = KINDS[suffix]
    options = {**extra.get("options", {}), **({} if suffix in ("gif", "mkv") else {"g": "6"})}
    path = make_clip(f"a.{suffix}", clip_type(**{**extra, "options": options}))
    end = 99 if duration is None else start + duration
    expected = [i for i in range(20) if start - 1e-9 <= i / 25 < end - 1e-9]
    assert [read_number(f.image) for f in VideoReader(path, start, duration)] == expected


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(1, 5000), min_size=1, max_size=30), first=st.integers(0, 9000))
def test_variable_frame_rate_is_kept_exactly(make_clip: MakeClip, clip_type: Any, steps: list[int], first: int) -> None:
    pts = [first + sum(steps[:i]) for i in range(len(steps))]
    scale = {"video_track_timescale": "90000", "movie_timescale": "90000"}
    path = make_clip("a.mp4", clip_type(pts=pts, time_base=Fraction(1, 90_000), container=scale))
    assert [f.pts for f in VideoReader(path)] == pts


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_pictures_are_turned_upright(
    make_clip: MakeClip, clip_type: Any, rotation: int, corner: tuple[int, int]
) -> None:
    """Of the number 1 the first stored block, at the left, is white: it is at the top after 90 degrees clockwise."""
    path = make_clip("a.mp4", clip_type(rotation=rotation))
    image = list(VideoReader(path))[1].image
    assert image.shape == ((3, 64, 32) if rotation % 180 else (3, 32, 64))
    assert image[:, corner[0], corner[1]].mean() > 0.9
    assert image.mean() == pytest.approx(1 / 8, abs=0.03)


def test_missing_times_are_made_up(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber) -> None:
    """H.264 with B frames in AVI stores no presentation times."""
    path = make_clip("a.avi", clip_type(options={"preset": "fast", "bf": "2"}))
    frames = list(VideoReader(path))
    assert [read_number(f.image) for f in frames] == list(range(20))
    assert {b.pts - a.pts for a, b in pairwise(frames)} == {1}


@pytest.mark.parametrize("suffix", ["h264", "m4v", "m2v"])
def test_a_bare_stream_has_no_times(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber, suffix: str) -> None:
    codecs = {"h264": "libx264", "m4v": "mpeg4", "m2v": "mpeg2video"}
    path = make_clip(f"a.{suffix}", clip_type(codec=codecs[suffix], options={"bf": "2", "preset": "fast"}))
    with VideoReader(path) as reader:
        frames = list(reader)
        assert [read_number(f.image) for f in frames] == list(range(20))
        steps = {(b.pts - a.pts) * reader.info.time_base for a, b in pairwise(frames)}
        assert steps == {Fraction(1, 25)}
        assert reader.report.lost == []
        assert bool(reader.report.notes) == (suffix == "h264")  # for the others FFmpeg makes times itself


def test_one_frame_is_a_video(make_clip: MakeClip, clip_type: Any) -> None:
    assert len(list(VideoReader(make_clip("a.mp4", clip_type(pts=[0]))))) == 1


def test_good_frames_survive_damage(
    make_clip: MakeClip, clip_type: Any, read_number: ReadNumber, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip("a.mkv", clip_type(codec="ffv1", pts=range(40), options={"g": "1"}))
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[20:23]:
        data[position + size // 2 : position + size] = bytes(size - size // 2)
    path.write_bytes(data)
    reader = VideoReader(path)
    with caplog.at_level(logging.WARNING):
        numbers = [read_number(f.image) for f in reader]
    assert len(numbers) >= 37
    assert numbers[:20] == list(range(20))
    assert numbers[-17:] == list(range(23, 40))
    assert reader.report.lost == [
        "3 frames could not be decoded and are missing: between frame 20 (0.800 s) and frame 22 (0.880 s)."
    ]
    assert reader.report.lost[0] in caplog.text


def test_a_truncated_file_gives_what_is_left(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber) -> None:
    path = make_clip("a.mkv", clip_type(pts=range(40)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    numbers = [read_number(f.image) for f in VideoReader(path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 10


def test_an_empty_range_says_how_long_the_video_is(make_clip: MakeClip, clip_type: Any) -> None:
    with pytest.raises(EmptyVideoError, match=r"begins before 0\.800 s"):
        list(VideoReader(make_clip("a.mp4", clip_type()), start=5.0))


@pytest.mark.parametrize(("start", "duration"), [(-1.0, None), (0.0, 0.0)])
def test_a_trim_must_make_sense(tmp_path: Path, start: float, duration: float | None) -> None:
    with pytest.raises(SettingError, match="start >= 0 and duration > 0"):
        VideoReader(tmp_path / "a.mp4", start, duration)


def test_leaving_early_closes_the_file(make_clip: MakeClip, clip_type: Any) -> None:
    path = make_clip("a.mp4", clip_type())
    with VideoReader(path) as reader:
        frames = iter(reader)
        next(frames)
    assert next(frames, None) is None
    path.unlink()
