"""Muxing with sources that are long, or damaged: in constant memory, in sync, and never silently."""

import resource
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import InputContainer, OutputContainer

from textovsr.core.video import mux as module
from textovsr.core.video.mux import mux
from textovsr.tests.helpers.films import RATE, Film, Sound, make_film, packets_of

MS = Fraction(1, 1000)


LONG = {"a.mkv": "aac", "a.ts": "aac", "a.avi": "mp2", "a.mp4": "aac", "a.mpg": "mp2"}


@pytest.mark.parametrize("name", LONG)
def test_five_minutes_trimmed_far_from_a_keyframe(tmp_path: Path, name: str) -> None:
    codec = "mpeg2video" if name == "a.mpg" else "mpeg4" if name == "a.avi" else "libx264"
    fps = 25 if name == "a.mpg" else 5
    options = {"preset": "ultrafast", "g": "600", "sc_threshold": "0"} if codec == "libx264" else {"g": "600"}
    film = Film(300, fps=fps, codec=codec, options=options, sounds=(Sound(LONG[name], seconds=300.0),))
    path = make_film(tmp_path / name, film)
    picture = make_film(tmp_path / "picture.mp4", Film(10, sounds=()))
    mux([picture], path, tmp_path / "b.mkv", start=200.0, duration=10.0)
    first = min(packets_of(path, 0))[0]
    strip = 7 if name == "a.ts" else 0  # an ADTS header before each packet
    kept, whole = packets_of(tmp_path / "b.mkv", 1), packets_of(path, 1)
    bare = [data[strip:] for _, data in whole]
    at = bare.index(kept[0][1])
    assert [data for _, data in kept] == bare[at : at + len(kept)]
    frame = Fraction(1152 if codec in ("mpeg2video", "mpeg4") else 1024, RATE)
    begins = whole[at][0] - first
    assert 200 - frame - 2 * MS <= begins <= 200 + 2 * MS
    assert 210 - frame - 2 * MS <= whole[at + len(kept) - 1][0] - first <= 210
    steps = [b - a for (a, _), (b, _) in pairwise(kept)]
    assert max(steps) <= frame + 2 * MS


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of raw sound, 58 MB, beside two seconds of picture."""
    path = make_film(tmp_path / "a.mkv", Film(2, sounds=(), extra=ten_minutes))
    demux, used = module.demux_safely, []

    def watched(container: InputContainer, wanted: list[Any]) -> Iterator[Any]:
        for number, packet in enumerate(demux(container, wanted)):
            if number % 20 == 0:
                used.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
            yield packet

    monkeypatch.setattr(module, "demux_safely", watched)
    report = mux(path, path, tmp_path / "b.mkv")
    assert len(report.copied) == 1
    assert (tmp_path / "b.mkv").stat().st_size > 50_000_000
    assert max(used) - used[0] < 15_000_000


def ten_minutes(output: OutputContainer) -> list[Any]:
    """Write a second at a time, so that this process has no free memory of that size."""
    stream = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
    for second in range(600):
        packet = av.Packet(bytes(RATE * 2))
        packet.stream, packet.time_base = stream, Fraction(1, RATE)
        packet.pts = packet.dts = second * RATE
        packet.duration = RATE
        output.mux(packet)
    return []


def test_damaged_sound_is_copied_and_said_or_converted_and_said(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mkv", Film(4, sounds=(Sound("libopus", seconds=4.0),)))
    data = bytearray(path.read_bytes())
    for _, packet in packets_of(path, 1)[40:60]:
        at = bytes(data).find(packet)
        data[at : at + len(packet)] = b"\xff" * len(packet)
    path.write_bytes(data)
    report = mux(path, path, tmp_path / "b.mkv")
    assert [d for _, d in packets_of(tmp_path / "b.mkv", 1)] == [d for _, d in packets_of(path, 1)]
    assert report.copied
    assert report.damaged == []  # nobody knows that a packet is bad without decoding it


def test_packets_that_cannot_be_decoded_are_said(tmp_path: Path) -> None:
    path = make_film(
        tmp_path / "a.mkv", Film(4, codec="libsvtav1", options={"preset": "13"}, sounds=(Sound(seconds=4.0),))
    )
    data = bytearray(path.read_bytes())
    for _, packet in packets_of(path, 1)[40:60]:
        at = bytes(data).find(packet)
        data[at : at + len(packet)] = b"\xff" * len(packet)
    path.write_bytes(data)
    report = mux(path, path, tmp_path / "b.webm")
    assert report.converted
    assert "audio #1 (aac): 20 damaged packets became a short silence." in report.damaged
    times = [time for time, _ in packets_of(tmp_path / "b.webm", 1)]
    assert times[-1] > 3.8


def test_a_torn_container_is_said(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.ts", Film(6, sounds=(Sound("mp2", seconds=6.0),)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    del data[middle : middle + 10 * 188]
    path.write_bytes(data)
    picture = make_film(tmp_path / "picture.mp4", Film(6, sounds=()))
    report = mux([picture], path, tmp_path / "b.mkv")
    assert any("damaged" in line for line in report.damaged)


def test_sound_out_of_order_is_put_in_order_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_film(tmp_path / "a.mkv", Film())
    demux = module.demux_safely

    def disordered(container: InputContainer, wanted: list[Any]) -> Iterator[Any]:
        for number, packet in enumerate(demux(container, wanted)):
            if number == 20 and packet is not None:
                packet.dts = packet.pts = packet.pts - 500
            yield packet

    monkeypatch.setattr(module, "demux_safely", disordered)
    report = mux(path, path, tmp_path / "b.mkv")
    assert report.damaged == ["audio #1 (aac): 1 packets out of order were moved behind the one before."]
    assert [d for _, d in packets_of(tmp_path / "b.mkv", 1)] == [d for _, d in packets_of(path, 1)]
