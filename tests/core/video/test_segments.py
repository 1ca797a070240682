"""Segments: joined, they are the frames that were written, at their exact times, for exactly as long."""

import errno
import os
from array import array
from contextlib import nullcontext
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import DiskFullError, EncoderError
from textovsr.core.video.color import ColorTags
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.mux import mux
from textovsr.core.video.probe import probe
from textovsr.core.video.segments import Timeline, joined, read_timeline, segment_suffix
from textovsr.core.video.source import silence_ffmpeg
from textovsr.core.video.writer import VideoWriter

SIDE = 32


def write_segments(
    folder: Path,
    lengths: list[int],
    pts: list[int],
    codec: str = "h264",
    *,
    time_base: Fraction = Fraction(1, 1000),
    moving: bool = True,
) -> list[Path]:
    """Write moving noise or a slow fade, ``lengths`` frames a segment; ``pts`` holds the last frame's end too."""
    color = ColorTags(1, 1, 1, False)
    spec = VideoSpec(SIDE, SIDE, time_base, Fraction(25), Fraction(1), color)
    picture = torch.rand(3, SIDE, SIDE * 4, generator=torch.Generator().manual_seed(0))
    paths, at = [], 0
    for length in lengths:
        paths.append(folder / f"{at}{segment_suffix(codec)}")
        with VideoWriter(paths[-1], spec, EncodeConfig(codec=codec)) as writer:
            for index in range(at, at + length):
                image = picture[:, :, (index * 3) % (SIDE * 3) :][:, :, :SIDE]
                writer.write(
                    image if moving else torch.full_like(image, 0.1 + index / 40),
                    pts[index],
                    pts[index + 1] - pts[index],
                )
        at += length
    return paths


def decode(path: Path) -> list[tuple[Fraction, bytes]]:
    silence_ffmpeg()
    with av.open(str(path)) as container:
        return [
            (f.pts * f.time_base, np.ascontiguousarray(f.to_ndarray()).tobytes()) for f in container.decode(video=0)
        ]


def times_of(start: int, gaps: list[int]) -> list[int]:
    return [start + sum(gaps[:index]) for index in range(len(gaps) + 1)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    start=st.sampled_from([0, 1, 5, 30, 700]),
    data=st.data(),
)
def test_joined_frames_are_those_of_the_segments(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], start: int, data: st.DataObject
) -> None:
    total = sum(lengths)
    gaps = data.draw(st.lists(st.sampled_from([1, 2, 39, 40, 41, 3000]), min_size=total, max_size=total))
    folder = tmp_path_factory.mktemp("segments")
    pts = times_of(start, gaps)
    paths = write_segments(folder, lengths, pts)
    expected = [frame for path in paths for frame in decode(path)]
    assert [time for time, _ in expected] == [Fraction(p, 1000) for p in pts[:-1]]
    for suffix in (".mp4", ".mkv", ".mov"):
        output = folder / f"joined{suffix}"
        mux(paths, paths[0], output)
        assert decode(output) == expected


@settings(max_examples=40, deadline=None)
@given(
    start=st.one_of(st.integers(1, 4), st.integers(-50, 2000)),
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=30),
    delay=st.integers(0, 4),
)
@example(start=1, gaps=[5] * 6, delay=3)
def test_decoding_times_grow_and_are_not_late(start: int, gaps: list[int], delay: int) -> None:
    times = times_of(start, gaps)
    timeline = Timeline(array("q", times[:-1]), min(delay, len(gaps) - 1), times[-1])
    decoded = [timeline.decode_time(index) for index in range(len(gaps))]
    assert all(a < b for a, b in pairwise(decoded))
    # A packet comes at most ``delay`` places later than in presentation: the earliest that may be i-th is i - delay.
    assert all(dts <= times[max(index - timeline.delay, 0)] for index, dts in enumerate(decoded))
    assert [timeline.duration(time) for time in times[:-1]] == gaps
    if start > timeline.delay:
        assert decoded[0] >= 0  # FFmpeg's mp4 reader loses a late beginning otherwise


@pytest.mark.parametrize(
    ("codec", "output"),
    [("h264", "a.mp4"), ("h264", "a.mov"), ("hevc", "a.mp4"), ("hevc", "a.mkv"), ("av1", "a.mp4"), ("av1", "a.webm"),
     ("prores", "a.mov"), ("ffv1", "a.mkv"), ("png", "a.mov")],
)  # fmt: skip
@pytest.mark.parametrize("lengths", [[1], [2, 1, 1, 2], [7, 1, 5]])
def test_every_codec_is_joined(tmp_path: Path, codec: str, output: str, lengths: list[int]) -> None:
    exact = output.endswith((".mp4", ".mov"))
    base = Fraction(1, 30_000) if exact else Fraction(1, 1000)
    pts = times_of(0, [1001, 1, 3003, 1001, 1001, 9009] * 3)[: sum(lengths) + 1]
    paths = write_segments(tmp_path, lengths, pts, codec, time_base=base)
    expected = [frame for path in paths for frame in decode(path)]
    mux(paths, paths[0], tmp_path / output)
    assert decode(tmp_path / output) == expected
    assert [time for time, _ in expected] == [p * base for p in pts[:-1]]
    if codec == "ffv1":  # an mkv says how long a frame is only by the one after it
        return
    assert probe(tmp_path / output).duration == pts[-1] * base


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "prores"])
def test_the_last_frame_keeps_its_duration(tmp_path: Path, codec: str) -> None:
    pts = [*range(0, 400, 40), 2345]
    paths = write_segments(tmp_path, [3, 7], pts, codec, moving=False)
    if codec == "hevc":  # the hard case: the last frame to be shown is not the last in the file
        assert [packet.pts for packet in joined(paths)][-1] != 3600
    timeline = read_timeline(paths)  # an mp4 of 1000 ticks a second gets 10,000
    assert (list(timeline.times), timeline.end) == ([p * 10 for p in pts[:-1]], 23450)
    output = tmp_path / ("a.mov" if codec == "prores" else "a.mp4")
    mux(paths, paths[0], output)
    assert probe(output).duration == Fraction(2345, 1000)
    mux(paths, paths[0], tmp_path / "a.mkv")
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.duration == 2_345_000


def test_decoding_times_in_the_file(tmp_path: Path) -> None:
    paths = write_segments(tmp_path, [8, 1, 8], times_of(0, [40, 1, 500] * 6)[:18])
    assert read_timeline(paths).delay > 0
    found = [(packet.pts, packet.dts) for packet in joined(paths)]
    mux(paths, paths[0], tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        scale = Fraction(1, 1000) / stream.time_base
        written = [(p.pts / scale, p.dts / scale) for p in container.demux(stream) if p.size]
    assert [pts * Fraction(1, 10) for pts, _ in found] == [pts for pts, _ in written]
    assert all(dts <= pts for pts, dts in written)
    assert all(a < b for (_, a), (_, b) in pairwise(written))


def test_segments_of_another_kind_are_refused(tmp_path: Path) -> None:
    first = write_segments(tmp_path, [3], [0, 40, 80, 120])
    (tmp_path / "other").mkdir()
    second = write_segments(tmp_path / "other", [2], [120, 160, 200], time_base=Fraction(1, 500))
    with pytest.raises(EncoderError, match=r"the codec, size, time base and header.*run the job afresh"):
        mux([*first, *second], first[0], tmp_path / "a.mp4")
    with pytest.raises(EncoderError, match=r"frames with times after 800; .*run the job afresh"):
        mux([*first, *first], first[0], tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


def test_x265_may_say_other_things_about_itself(tmp_path: Path) -> None:
    """Its header holds a sentence with its version and threads: another machine may go on with a job."""
    paths = write_segments(tmp_path, [2, 2], [0, 40, 80, 120, 160], "hevc")
    data = paths[1].read_bytes()
    at = data.index(b"x265 (build")
    paths[1].write_bytes(data[:at] + b"x999" + data[at + 4 :])
    mux(paths, paths[0], tmp_path / "a.mp4")
    at = data.index(b"hvcC") + 4 + 12  # the level in the header proper
    paths[1].write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(EncoderError, match=r"run the job afresh"):
        mux(paths, paths[0], tmp_path / "b.mp4")


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_segments(tmp_path, [3], [0, 40, 80, 120])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="free some space and run it again"):
        mux(paths, paths[0], tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_segments(tmp_path, [3], [0, 40, 80, 120])
    monkeypatch.setattr("textovsr.core.video.mux.unfinished", lambda *_: nullcontext(Path("/dev/full")))
    with pytest.raises(DiskFullError, match="free some space"):
        mux(paths, paths[0], tmp_path / "a.mkv")


def test_the_result_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_segments(tmp_path, [3], [0, 40, 80, 120])
    events: list[str] = []
    monkeypatch.setattr("textovsr.core.video.mux.sync_file", lambda _: events.append("file"))
    monkeypatch.setattr("textovsr.core.video.mux.sync_folder", lambda _: events.append("folder"))
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda *names: (events.append("name"), replace(*names)))
    mux(paths, paths[0], tmp_path / "a.mp4")
    assert events == ["file", "name", "folder"]


def test_decoding_takes_as_long_as_presentation_where_frames_are_far_apart() -> None:
    """The first frame comes so early that decoding cannot begin long before it; so it ends late."""
    timeline = Timeline(array("q", [200, 9200, 9210, 14200, 14530, 89_200]), delay=1, end=89_600)
    begin, end = timeline.decode_time(0), timeline.last_decode_time(89_200)
    assert begin == 0
    assert timeline.decode_time(4) < end <= 89_200
    assert end + timeline.last_duration(89_200) - begin == 89_400
