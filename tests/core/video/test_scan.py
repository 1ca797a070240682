"""Interlaced, telecined, progressive: what the picture shows, what the file says, and what is done about it."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.scan import Look, Said, Scan, judge, scan
from textovsr.tests.helpers.frames import needs_pyav_18

Picture = np.ndarray
WIDTH, HEIGHT = 160, 96


def scene(time: float) -> Picture:
    """(H,W) uint8: waves and a box that move all the time."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = 128 + 50 * np.sin((x - 3 * time) / 9) + 40 * np.cos((y + x - 2 * time) / 13)
    left = int(20 + 4 * time) % (WIDTH - 24)
    picture[20:70, left : left + 24] = 230
    return np.clip(picture, 16, 235).astype(np.uint8)


def woven(first: Picture, second: Picture, top_first: bool) -> Picture:
    top, bottom = (first, second) if top_first else (second, first)
    picture = np.empty_like(top)
    picture[0::2], picture[1::2] = top[0::2], bottom[1::2]
    return picture


def progressive(count: int) -> list[Picture]:
    return [scene(2 * i) for i in range(count)]


def interlaced(count: int, top_first: bool = True) -> list[Picture]:
    return [woven(scene(2 * i), scene(2 * i + 1), top_first) for i in range(count)]


def telecined(count: int, top_first: bool = True) -> list[Picture]:
    film = [scene(2.5 * i) for i in range(count)]
    fields = [picture for i, picture in enumerate(film) for _ in range(3 if i % 2 else 2)]
    return [woven(fields[2 * i], fields[2 * i + 1], top_first) for i in range(count)]


def still(count: int) -> list[Picture]:
    return [scene(0)] * count


def write(
    path: Path,
    pictures: Sequence[Picture],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
) -> Path:
    quiet = {"libx264": {"preset": "ultrafast", "crf": "12"}, "mpeg2video": {"b": "6M"}}
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=quiet.get(codec, {}) | (options or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        stream.codec_context.time_base = time_base
        stream.thread_count = 1
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=pix_fmt)
            frame.pts, frame.time_base = times[number] if times else number, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


TOP = {"x264-params": "tff=1"}
BOTTOM = {"x264-params": "bff=1"}


@needs_pyav_18
@pytest.mark.parametrize(
    ("pictures", "options", "expected"),
    [
        (progressive(12), {}, Scan("progressive", seen=True)),
        (progressive(30), TOP, Scan("progressive", seen=True, said=True, frames_said=True)),
        (interlaced(30), TOP, Scan("interlaced", True, seen=True, said=True, frames_said=True)),
        (interlaced(30), BOTTOM, Scan("interlaced", True, seen=True, said=True, frames_said=True)),
        (interlaced(30, top_first=False), {}, Scan("interlaced", False, seen=True)),
        (telecined(30), {}, Scan("telecined", True, seen=True)),
        (telecined(30, top_first=False), TOP, Scan("telecined", False, seen=True, said=True, frames_said=True)),
        (still(8), {}, Scan("progressive")),
        (still(8), TOP, Scan("interlaced", True, said=True, frames_said=True)),
        (still(8), BOTTOM, Scan("interlaced", False, said=True, frames_said=True)),
        (progressive(1), {}, Scan("progressive")),
    ],
)
def test_the_picture_decides_and_else_the_flags(
    tmp_path: Path, pictures: list[Picture], options: dict[str, str], expected: Scan
) -> None:
    info = probe(write(tmp_path / "a.mp4", pictures, options=options))
    assert scan(info) == expected


@needs_pyav_18
def test_pulldown_by_flags_is_named(tmp_path: Path) -> None:
    """Film on DVD: whole pictures, shown for two and three fields of 1/60 s in turn."""
    times = [5 * (i // 2) + 2 * (i % 2) for i in range(30)]
    base = Fraction(1001, 60_000)
    path = write(tmp_path / "a.mp4", progressive(30), times=times, time_base=base)
    assert scan(probe(path)).kind == "pulldown"
    with VideoReader(path) as reader:
        assert len(list(reader)) == 30
        assert "3:2 pulldown by flags" in reader.report.notes[0]


def test_a_steady_video_is_looked_at_briefly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr("textovsr.core.video.scan._letter", lambda *_: looked.append(1) or "p")
    scan(probe(write(tmp_path / "a.mp4", progressive(60))))
    assert len(looked) <= 2 * 10
    looked.clear()
    monkeypatch.setattr("textovsr.core.video.scan._letter", lambda *_: looked.append(1) or "u")
    scan(probe(write(tmp_path / "b.mp4", progressive(200))))
    assert len(looked) == 2 * 60


@pytest.mark.parametrize(
    ("looks", "said", "expected"),
    [
        ([Look("ppppptttttpppp")], Said(), Scan(doubtful=True)),
        ([Look("ppppptttttpppp")], Said(frames=True), Scan("interlaced", None, said=True, frames_said=True)),
        ([Look("tbtbtbtbtb")], Said(), Scan()),
        ([Look("uuuu"), Look("uuuu")], Said(top_first=False), Scan("interlaced", False, said=True)),
        ([], Said(), Scan()),
    ],
)
def test_evidence_that_is_not_clear_decides_nothing(looks: list[Look], said: Said, expected: Scan) -> None:
    assert judge(looks, said) == expected


def combing(image: torch.Tensor) -> float:
    """How much (3,H,W) differs between neighbouring lines, more than between every other one."""
    gray = image.mean(0)
    return float((gray[1:] - gray[:-1]).abs().mean() - (gray[2:] - gray[:-2]).abs().mean())


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_as_many_frames_as_before_at_the_same_times(tmp_path: Path, count: int, top_first: bool) -> None:
    times = [7 * i + i % 2 for i in range(count)]
    path = write(
        tmp_path / "a.mp4",
        interlaced(count, top_first),
        options=TOP if top_first else BOTTOM,
        times=times,
        time_base=Fraction(1, 12_800),
    )
    with VideoReader(path) as reader, VideoReader(path, deinterlace="off") as plain:
        frames, combed = list(reader), list(plain)
        assert [(f.pts, f.duration) for f in frames] == [(f.pts, f.duration) for f in combed]
        assert [f.pts for f in frames] == times
        assert "deinterlaced (bwdif)" in reader.report.notes[0]
        assert "It is left as it is." in plain.report.notes[0]
        assert reader.report.lost == plain.report.lost == []
    if count == 1:
        return  # one picture alone: nothing tells its fields' times apart
    assert max(combing(f.image) for f in frames) < 0.2 * min(combing(f.image) for f in combed)


@needs_pyav_18
def test_the_right_field_is_kept(tmp_path: Path) -> None:
    """The earlier field stays as it is; the other is interpolated."""
    for top_first in (True, False):
        path = write(tmp_path / "a.mp4", interlaced(12, top_first), options={"crf": "0", "x264-params": "bff=1"})
        images = [f.image for f in VideoReader(path)]
        combed = [f.image for f in VideoReader(path, deinterlace="off")]
        lines = slice(0 if top_first else 1, None, 2)
        for image, other in zip(images, combed, strict=True):
            assert torch.equal(image[:, lines], other[:, lines])


@needs_pyav_18
def test_whole_frames_are_left_alone(tmp_path: Path) -> None:
    """Flagged as interlaced throughout, but not: automatic leaves it alone, ``on`` does not."""
    path = write(tmp_path / "a.mp4", progressive(30), options=TOP)
    plain = [f.image for f in VideoReader(path, deinterlace="off")]
    with VideoReader(path) as reader:
        assert all(torch.equal(a.image, b) for a, b in zip(reader, plain, strict=True))
        assert "its pictures are whole" in reader.report.notes[0]
    with VideoReader(path, deinterlace="on") as reader:
        assert not all(torch.equal(a.image, b) for a, b in zip(reader, plain, strict=True))


def test_where_the_picture_is_silent_only_flagged_frames_change(tmp_path: Path) -> None:
    """Mixed flags: MPEG-2 joined from a progressive and an interlaced part, with little that moves."""
    pictures = [np.where(np.arange(HEIGHT)[:, None] % 2, 60, 180).repeat(WIDTH, 1).astype(np.uint8)] * 8
    whole = write(tmp_path / "whole.mpg", pictures, codec="mpeg2video")
    mixed = write(tmp_path / "mixed.mpg", pictures, codec="mpeg2video", options={"flags": "+ildct+ilme"})
    joined = tmp_path / "joined.mpg"
    joined.write_bytes(whole.read_bytes() + mixed.read_bytes())
    with av.open(str(joined)) as container:
        flags = [frame.interlaced_frame for frame in container.decode(video=0)]
    assert set(flags) == {True, False}
    with VideoReader(joined) as reader:
        images = [f.image for f in reader]
        assert "Frames that are flagged are deinterlaced" in reader.report.notes[0]
    plain = [f.image for f in VideoReader(joined, deinterlace="off")]
    changed = [not torch.equal(a, b) for a, b in zip(images, plain, strict=True)]
    assert not any(change and not flag for change, flag in zip(changed, flags, strict=True))


@pytest.mark.parametrize("deinterlace", ["auto", "on", "off"])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_skipping_changes_nothing(tmp_path: Path, deinterlace: Any, start: float) -> None:
    path = write(tmp_path / "a.mp4", interlaced(30), options={**TOP, "g": "8", "bf": "2"})
    with VideoReader(path, start, deinterlace=deinterlace) as reader:
        frames = list(reader)
        for skip in (0, 1, 7, len(frames) - 1):
            rest = list(reader.frames(skip))
            assert reader.report.frames == len(frames)
            assert [f.pts for f in rest] == [f.pts for f in frames[skip:]]
            assert all(torch.equal(a.image, b.image) for a, b in zip(rest, frames[skip:], strict=True))
        assert list(reader.frames(len(frames) + 3)) == []


FORMATS: dict[str, tuple[str, str]] = {
    "yuv420p10le": ("libx265", "mkv"),
    "yuv422p10le": ("prores_ks", "mov"),
    "yuvj422p": ("mjpeg", "avi"),
    "rgb24": ("rawvideo", "avi"),
    "nv12": ("rawvideo", "nut"),
    "uyvy422": ("rawvideo", "avi"),
    "gray10le": ("ffv1", "mkv"),
    "bgr0": ("ffv1", "mkv"),
}


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_formats_are_not_converted(tmp_path: Path, pix_fmt: str) -> None:
    """What does not move comes out with the very same samples, in any format; else it is left, and said."""
    codec, suffix = FORMATS[pix_fmt]
    options = {"x265-params": "log-level=error"} if codec == "libx265" else {}
    flat = [np.repeat(np.linspace(20, 230, WIDTH).astype(np.uint8)[None], HEIGHT, 0)] * 4
    path = write(tmp_path / f"a.{suffix}", flat, codec=codec, pix_fmt=pix_fmt, options=options)
    with VideoReader(path, deinterlace="on") as reader, VideoReader(path, deinterlace="off") as plain:
        for frame, other in zip(reader, plain, strict=True):
            assert (frame.image - other.image).abs().max() < 1.5 / 2**reader.info.bit_depth
        left = [note for note in reader.report.notes if "cannot read them" in note]
        assert bool(left) == (pix_fmt == "gray10le")


@needs_pyav_18
def test_the_command_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from textovsr.cli import main

    path = write(tmp_path / "a.mp4", interlaced(30))
    assert main(["info", str(path)]) == 0
    assert "interlaced, top field first" in capsys.readouterr().out


MakeClip = Callable[[str, Any], Path]


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_sharp_graphics_are_not_interlaced(make_clip: MakeClip, clip_type: Any, suffix: str) -> None:
    extra = {"codec": "gif", "pix_fmt": "rgb8"} if suffix == "gif" else {}
    assert scan(probe(make_clip(f"a.{suffix}", clip_type(**extra)))).kind == "progressive"


def test_real_footage_is_progressive(webcam_clip: Path, phone_clip: Path) -> None:
    assert scan(probe(webcam_clip)).kind == scan(probe(phone_clip)).kind == "progressive"
