"""Files that lie or are damaged: every good frame is kept, and a report says what was lost."""

import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import DamagedVideoError, VideoError, VideoSizeError
from textovsr.core.video.clock import Clock, Picture
from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader

MakeClip = Callable[[str, Any], Path]
ReadNumber = Callable[[Tensor], int]

CODECS: dict[str, dict[str, Any]] = {
    "h264": {"codec": "libx264", "options": {"preset": "fast", "bf": "3", "g": "10", "x264-params": "slices=1"}},
    "hevc": {"codec": "libx265", "options": {"x265-params": "log-level=error:bframes=3:keyint=10"}},
    "mpeg2": {"codec": "mpeg2video", "options": {"bf": "2", "g": "10", "b": "4M"}, "width": 96, "height": 64},
    "ffv1": {"codec": "ffv1", "options": {"g": "1"}},
}


def packets_of(path: Path) -> list[tuple[int, int, int, bool]]:
    """Position, size, time and whether it is a key frame, in decoding order."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.pts, p.is_keyframe) for p in container.demux(video=0) if p.size]


def overwrite(path: Path, spots: Sequence[tuple[int, int]], seed: int = 0) -> None:
    data = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    for position, size in spots:
        data[position : position + size] = generator.integers(0, 256, size, dtype=np.uint8).tobytes()
    path.write_bytes(data)


def good_times(packets: list[tuple[int, int, int, bool]], bad: range) -> set[int]:
    """Times of frames that are sure to be whole: decoded before what is damaged, or from the key frame after it on."""
    keys = [i for i, packet in enumerate(packets) if packet[3] and i > bad[-1]] or [len(packets)]
    after = [packet[2] for packet in packets[keys[0] :]]
    return {packet[2] for packet in packets[: bad[0]]} | {time for time in after if time >= after[0]}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("first", "last"), [(13, 13), (24, 26), (37, 39), (39, 39), (0, 0)])
def test_every_good_frame_is_kept_and_every_loss_told(
    make_clip: MakeClip, clip_type: Any, codec: str, first: int, last: int
) -> None:
    path = make_clip("a.mkv", clip_type(pts=range(40), **CODECS[codec]))
    whole = {f.pts: f.image for f in VideoReader(path)}
    packets, bad = packets_of(path), range(first, last + 1)
    overwrite(path, [(packets[i][0] + packets[i][1] // 3, packets[i][1] - packets[i][1] // 3) for i in bad])
    with VideoReader(path) as reader:
        frames = {f.pts: f.image for f in reader}
        if codec != "mpeg2":  # MPEG-2 decodes almost anything
            assert reader.report.lost
        missing = [line for line in reader.report.lost if "missing" in line]
        lost = int(missing[0].split()[0]) if missing else 0
        assert len(frames) + lost == 40
        assert reader.report.frames == len(frames)
    good = good_times(packets, bad)
    assert len(good) >= 13
    assert good <= set(frames)
    assert all(torch.equal(frames[time], whole[time]) for time in good)


@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_strict_stops_at_the_first_loss(
    make_clip: MakeClip, clip_type: Any, read_number: ReadNumber, codec: str
) -> None:
    path = make_clip("a.mkv", clip_type(pts=range(40), **CODECS[codec]))
    position, size, time, _ = packets_of(path)[20]
    overwrite(path, [(position + size // 3, size - size // 3)])
    with VideoReader(path, strict=True) as reader:
        frames = iter(reader)
        assert [read_number(next(frames).image) for _ in range(15)] == list(range(15))
        with pytest.raises(DamagedVideoError, match=rf"near frame \d+ \({time / 1000:.3f} s\).*without strict"):
            list(frames)


def test_strict_takes_what_is_whole(make_clip: MakeClip, clip_type: Any) -> None:
    for suffix, codec in (("mp4", "h264"), ("mkv", "hevc"), ("ts", "h264"), ("mpg", "mpeg2"), ("avi", "h264")):
        path = make_clip(f"a.{suffix}", clip_type(**CODECS[codec]))
        assert len(list(VideoReader(path, strict=True))) == 20


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm"])
def test_a_file_that_was_cut_off(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber, suffix: str) -> None:
    extra = {"codec": "libvpx-vp9"} if suffix == "webm" else {"codec": "mpeg4"} if suffix == "avi" else {}
    container = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = make_clip(f"a.{suffix}", clip_type(pts=range(40), width=320, height=160, container=container, **extra))
    middle = packets_of(path)[25]
    data = path.read_bytes()
    path.write_bytes(data[: middle[0] + middle[1] // 2])
    with VideoReader(path) as reader:
        numbers = [read_number(f.image) for f in reader]
        assert numbers[:25] == list(range(25))
        assert len(numbers) <= 26
        assert any(f"cut off: {len(data) - path.stat().st_size} bytes" in line for line in reader.report.lost)
        shorter = [line for line in reader.report.lost if "the last frame ends at" in line]
        assert shorter or suffix == "avi"


def test_a_transport_stream_with_holes(make_clip: MakeClip, clip_type: Any) -> None:
    for damage in ("noise", "hole"):
        path = make_clip("a.ts", clip_type(pts=range(60), **CODECS["mpeg2"]))
        data = bytearray(path.read_bytes())
        middle = len(data) // 188 // 2 * 188
        if damage == "noise":
            data[middle + 4 : middle + 188 * 8] = np.random.default_rng(0).bytes(188 * 8 - 4)
        else:
            del data[middle : middle + 188 * 8]
        path.write_bytes(data)
        with VideoReader(path) as reader:
            assert 50 <= len(list(reader)) <= 60
            assert reader.report.lost


def test_a_stream_cut_out_of_another(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber) -> None:
    """Nothing before the first key frame can be decoded."""
    path = make_clip("a.ts", clip_type(pts=range(40), **CODECS["h264"]))
    data = path.read_bytes()
    start = packets_of(path)[4][0] // 188 * 188
    path.write_bytes(data[: 3 * 188] + data[start:])
    with VideoReader(path) as reader:
        numbers = [read_number(f.image) for f in reader]
        assert numbers == list(range(numbers[0], 40))
        assert "could not be decoded and are missing: between frame 0 (-" in reader.report.lost[0]


def patch(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))


def box(data: bytes, name: bytes) -> int:
    """Position of the contents of the only box of that name."""
    assert data.count(name) == 1
    return data.index(name) + 4


def test_a_header_that_counts_fewer_frames(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber) -> None:
    path = make_clip("a.mp4", clip_type(pts=range(40)))
    data = bytearray(path.read_bytes())
    at = box(data, b"stsz") + 8
    assert struct.unpack(">I", data[at : at + 4]) == (40,)
    data[at : at + 4] = struct.pack(">I", 30)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        assert [read_number(f.image) for f in reader] == list(range(30))
        assert "The header says 1.600 s, but the last frame ends at 1.200 s." in reader.report.lost


def test_a_header_that_counts_more_frames(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber) -> None:
    path = make_clip("a.avi", clip_type(pts=range(40), codec="mjpeg", pix_fmt="yuvj420p"))
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8 + 32
    assert struct.unpack("<I", data[at : at + 4]) == (40,)
    data[at : at + 4] = struct.pack("<I", 400)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        assert [read_number(f.image) for f in reader] == list(range(40))
        assert "The header says 16.000 s, but the last frame ends at 1.600 s." in reader.report.lost


@pytest.mark.parametrize(("said", "where"), [(b"00:00:09.600", "lost"), (b"00:00:00.600", "notes")])
def test_a_header_with_a_wrong_duration(make_clip: MakeClip, clip_type: Any, said: bytes, where: str) -> None:
    path = make_clip("a.mkv", clip_type(pts=range(40)))
    patch(path, b"00:00:01.600", said)
    with VideoReader(path) as reader:
        assert len(list(reader)) == 40
        told = {"lost": reader.report.lost, "notes": reader.report.notes}
        assert f"The header says {said[-5:].decode()} s, but the last frame ends at 1.600 s" in told.pop(where)[0]
        assert told.popitem()[1] == []


def write_times(path: Path, times: Sequence[int | None]) -> Path:
    """FFV1 in Matroska with these times in ms, as they are."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        packets = []
        for number in range(len(times)):
            picture = np.full((32, 64, 3), 40 + 5 * number, np.uint8)
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        packets += stream.encode(None)
        output.start_encoding()
        for number, (packet, time) in enumerate(zip(packets, times, strict=True)):
            packet.pts, packet.dts = time, -1000 + number
            packet.time_base = stream.time_base
            output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("times", "expected", "word"),
    [
        ([0, 40, 80, 80, 160, 200], [0, 40, 80, 120, 160, 200], "1 frame had a time that"),
        ([0, 40, 900, 120, 160, 200], [0, 40, 80, 120, 160, 200], "1 frame had a time that"),
        ([0, 40, 80, 20, 160, 200], [0, 40, 80, 120, 160, 200], "1 frame had a time that"),
        ([0, 40, 80, 0, 33, 70], [0, 40, 80, 120, 153, 190], "the times start again once"),
    ],
)
def test_times_that_cannot_be(tmp_path: Path, times: list[int], expected: list[int], word: str) -> None:
    with VideoReader(write_times(tmp_path / "a.mkv", times)) as reader:
        assert [round(f.pts * reader.info.time_base * 1000) for f in reader] == expected
        assert reader.report.lost[0].startswith(word[0].upper() + word[1:])
    with pytest.raises(DamagedVideoError, match=word):
        list(VideoReader(tmp_path / "a.mkv", strict=True))


def timed(times: Sequence[int | None], step: int = 40) -> list[Picture]:
    frame = av.VideoFrame(16, 16, "gray")
    return list(Clock(0, step).run(Picture(frame, time, 0) for time in times))


@given(st.lists(st.none() | st.integers(-1000, 1000), max_size=30))
def test_times_always_grow(times: list[int | None]) -> None:
    pictures = timed(times)
    assert len(pictures) == len(times)
    assert all(b.pts > a.pts for a, b in pairwise(pictures))


@given(st.lists(st.integers(-1000, 1000), unique=True, max_size=30))
def test_times_that_grow_stay(times: list[int]) -> None:
    assert [(p.pts, p.lost) for p in timed(sorted(times))] == [(time, None) for time in sorted(times)]


def test_missing_times_lie_between() -> None:
    pictures = timed([None, 40, None, 60, None, None, 180])
    assert [p.pts for p in pictures] == [0, 40, 50, 60, 100, 140, 180]
    assert [p.lost is None for p in pictures] == [False, True, False, True, False, False, True]


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_a_size_that_changes_midway(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber) -> None:
    one = make_clip("1.ts", clip_type(pts=range(10)))
    two = make_clip("2.ts", clip_type(pts=range(10, 22), width=96, height=64))
    with VideoReader(joined(one.with_name("a.ts"), one, two)) as reader:
        frames = list(reader)
        assert [f.image.shape for f in frames] == [(3, 32, 64)] * len(frames)
        assert [read_number(f.image) for f in frames][:10] == list(range(10))
        assert len(frames) == 22
        assert reader.report.lost[-1].startswith("12 frames have another size than the first; they were resized")
        assert [f.pts for f in reader.frames(12)] == [f.pts for f in frames[12:]]
        assert reader.report.lost[-1].startswith("12 frames have another size")


def test_a_format_that_changes_midway(make_clip: MakeClip, clip_type: Any) -> None:
    one = make_clip("1.ts", clip_type(pts=range(10)))
    two = make_clip("2.ts", clip_type(pts=range(10, 20), pix_fmt="yuv444p"))
    with VideoReader(joined(one.with_name("a.ts"), one, two), deinterlace="on") as reader:
        images = [f.image for f in reader]
        assert len(images) == 20
        assert "The pixel format changes from yuv420p to yuv444p; each is read as it is." in reader.report.notes
        assert [line for line in reader.report.lost if "may be damaged" not in line] == []  # the joint itself
        assert all(image.shape == images[0].shape for image in images)


@pytest.mark.parametrize(("width", "height"), [(100_000, 10), (14, 64), (64, 15), (16_385, 16), (8192, 4900)])
def test_sizes_that_cannot_be_worked_on(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "gray"
        output.mux(stream.encode(av.VideoFrame(width, height, "gray")))
        output.mux(stream.encode(None))
    with pytest.raises(VideoSizeError, match=f"16x16 and at most 16384 pixels.*got {width}x{height}"):
        VideoReader(path)


def test_the_smallest_and_odd_sizes_are_taken(make_clip: MakeClip, clip_type: Any) -> None:
    for width, height in ((16, 16), (17, 19)):
        path = make_clip("a.mkv", clip_type(codec="ffv1", width=width, height=height))
        assert [f.image.shape for f in VideoReader(path)] == [(3, height, width)] * 20


@pytest.mark.parametrize("length", [1, 100, 2000])
def test_random_bytes_are_refused_or_read_to_an_end(make_clip: MakeClip, clip_type: Any, length: int) -> None:
    """Noise all over a file: an error of ours, or frames and a report; never anything else, never for ever."""
    for seed in range(6):
        path = make_clip("a.mkv", clip_type(pts=range(12)))
        size = path.stat().st_size
        at = int(np.random.default_rng(seed).integers(0, size))
        overwrite(path, [(at, min(length, size - at))], seed)
        try:
            with VideoReader(path) as reader:
                assert len(list(reader)) <= 40
        except VideoError:
            pass


def test_an_edit_list_hides_frames(make_clip: MakeClip, clip_type: Any, read_number: ReadNumber) -> None:
    path = make_clip("a.mp4", clip_type(pts=range(40), options={"preset": "fast", "bf": "2", "g": "10"}))
    data = bytearray(path.read_bytes())
    at = box(data, b"elst") + 8
    length, start = struct.unpack(">Ii", data[at : at + 8])
    ticks = 12_800 // 25
    data[at : at + 8] = struct.pack(">Ii", length - 5 * length // 40, start + 5 * ticks)
    path.write_bytes(data)
    assert probe(path).frames == 35
    with VideoReader(path, strict=True) as reader:
        assert [read_number(f.image) for f in reader] == list(range(5, 40))
        assert reader.report.lost == []
        steps = {b.pts - a.pts for a, b in pairwise(reader)}
        assert {step * reader.info.time_base * 25 for step in steps} == {1}
