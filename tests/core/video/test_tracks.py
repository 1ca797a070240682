"""The streams beside the picture, as real files have them: several, sparse, early, late, trimmed."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import OutputContainer
from av.stream import Disposition, Stream

from textovsr.core.video.mux import mux
from textovsr.tests.helpers.films import Film, Sound, make_film, packets_of
from textovsr.tests.helpers.frames import needs_pyav_18

MS = Fraction(1, 1000)


def streams(path: Path) -> list[tuple[str, str | None, str, int]]:
    def one(stream: Stream) -> tuple[str, str | None, str, int]:
        return stream.type, stream.language, stream.metadata.get("title", ""), int(stream.disposition)

    with av.open(str(path)) as container:
        return [one(stream) for stream in container.streams]


@pytest.mark.parametrize("output", ["b.mkv", "b.mp4"])
def test_every_sound_keeps_its_language_and_role(tmp_path: Path, output: str) -> None:
    forced = int(Disposition.comment)
    film = Film(
        sounds=(
            Sound(labels={"language": "fra"}, seed=1),
            Sound(labels={"language": "eng", "title": "Commentary"}, disposition=forced, seed=2),
            Sound(labels={"language": "jpn"}, disposition=int(Disposition.default), seed=3),
        )
    )
    source = make_film(tmp_path / "a.mkv", film)
    report = mux(source, source, tmp_path / output)
    assert len(report.copied) == 3
    assert [language for _, language, _, _ in streams(tmp_path / output)[1:]] == ["fra", "eng", "jpn"]
    if output == "b.mkv":
        assert streams(tmp_path / output) == streams(source)
    for index in (1, 2, 3):
        assert [data for _, data in packets_of(tmp_path / output, index)] == [
            data for _, data in packets_of(source, index)
        ]


def picture_file(codec: str, pix_fmt: str) -> bytes:
    context = av.CodecContext.create(codec, "w")
    context.width = context.height = 16
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 99, np.uint8), format="rgb24").reformat(format=pix_fmt)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def with_cover(codec: str, pix_fmt: str) -> Callable[[OutputContainer], list[Any]]:
    def add(output: OutputContainer) -> list[Any]:
        stream = output.add_stream(codec)
        stream.width = stream.height = 16
        stream.pix_fmt = pix_fmt
        stream.disposition = Disposition.attached_pic
        packet = av.Packet(picture_file(codec, pix_fmt))
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 25)
        packet.is_keyframe = True
        return [packet]

    return add


@pytest.mark.parametrize(("codec", "pix_fmt"), [("png", "rgb24"), ("mjpeg", "yuvj420p")])
def test_a_cover_picture_goes_from_mp4_to_mkv_and_back(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    source = make_film(tmp_path / "a.mp4", Film(extra=with_cover(codec, pix_fmt)))
    for before, after in (("a.mp4", "b.mp4"), ("b.mp4", "c.mkv"), ("c.mkv", "d.mp4")):
        report = mux(tmp_path / before, tmp_path / before, tmp_path / after)
        assert (len(report.copied), report.dropped) == (2, []), after
        with av.open(str(tmp_path / after)) as container:
            cover = next(s for s in container.streams.video if s.disposition & Disposition.attached_pic)
            assert [bytes(p) for p in container.demux(cover) if p.size] == [picture_file(codec, pix_fmt)]
    report = mux(source, source, tmp_path / "b.mov")
    assert "mov holds no cover pictures" in report.dropped[0]


@needs_pyav_18
def test_timecode_is_kept_unless_it_is_that_of_a_frame_cut_off(tmp_path: Path) -> None:
    def add(output: OutputContainer) -> list[Any]:
        output.streams[0].metadata["timecode"] = "01:00:00:00"
        return []

    source = make_film(tmp_path / "a.mov", Film(extra=add))
    report = mux(source, source, tmp_path / "b.mov")
    assert any("timecode" in line for line in report.copied)
    with av.open(str(tmp_path / "b.mov")) as container:
        assert container.streams.video[0].metadata["timecode"] == "01:00:00:00"
        assert [s.type for s in container.streams].count("data") == 1
    report = mux(source, source, tmp_path / "c.mov", start=0.5)
    assert any(line.startswith("data") for line in report.dropped)
    with av.open(str(tmp_path / "c.mov")) as container:
        assert "timecode" not in container.streams.video[0].metadata


def pgs(number: int) -> bytes:
    """A display set of a PGS subtitle that clears the screen: presentation, window, end."""
    presentation = bytes([0, 32, 0, 16, 0x10, 0, number, 0x80, 0, 0, 0])
    window = bytes([1, 0, 0, 0, 0, 0, 0, 32, 0, 16])
    segments = [(0x16, presentation), (0x17, window), (0x80, b"")]
    return b"".join(bytes([kind]) + len(data).to_bytes(2, "big") + data for kind, data in segments)


def with_bitmaps(codec: str, language: str) -> Callable[[OutputContainer], list[Any]]:
    def add(output: OutputContainer) -> list[Any]:
        stream = output.add_mux_stream(codec)
        stream.metadata["language"] = language
        stream.time_base = MS
        found = []
        for number in range(3):
            data = pgs(number) if codec == "hdmv_pgs_subtitle" else b"\x00\x06\x00\x04\x00\xff" + bytes([number])
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, MS
            packet.pts = packet.dts = 100 + 600 * number
            packet.duration = 500
            found.append(packet)
        return found

    return add


@pytest.mark.parametrize("codec", ["hdmv_pgs_subtitle", "dvd_subtitle"])
def test_subtitles_made_of_pictures_are_copied(tmp_path: Path, codec: str) -> None:
    source = make_film(tmp_path / "a.mkv", Film(sounds=(), extra=with_bitmaps(codec, "deu")))
    report = mux(source, source, tmp_path / "b.mkv")
    assert (len(report.copied), report.dropped) == (1, [])
    assert packets_of(tmp_path / "b.mkv", 1) == packets_of(source, 1)
    assert streams(tmp_path / "b.mkv")[1][:2] == ("subtitle", "deu")
    report = mux(source, source, tmp_path / "b.mov")
    assert any("mov cannot hold it; write .mkv" in line for line in report.dropped)
    trimmed = tmp_path / "c.mkv"
    mux([make_film(tmp_path / "p.mp4", Film(start=0.52, seconds=1.48, sounds=()))], source, trimmed, start=0.5)
    kept = packets_of(trimmed, 1)
    assert [data for _, data in kept] == [data for _, data in packets_of(source, 1)]
    assert [time for time, _ in kept][1:] == [Fraction(200, 1000), Fraction(800, 1000)]


@pytest.mark.parametrize("output", ["b.mp4", "b.mkv", "b.mov"])
@pytest.mark.parametrize("source", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize(("picture", "sound"), [(0.0, 0.7), (0.7, 0.0), (0.4, 0.2)])
def test_a_gap_between_picture_and_sound_is_kept(
    tmp_path: Path, source: str, output: str, picture: float, sound: float
) -> None:
    path = make_film(tmp_path / source, Film(start=picture, sounds=(Sound(start=sound, seconds=4.0),)))
    mux(path, path, tmp_path / output)
    gaps = [packets_of(p, 1)[0][0] - min(packets_of(p, 0))[0] for p in (path, tmp_path / output)]
    assert abs(gaps[0] - gaps[1]) <= MS
    assert abs(float(gaps[0]) - (sound - picture)) < 0.045  # AAC begins with 1024 samples of its own
    before, after = packets_of(path, 1), packets_of(tmp_path / output, 1)
    assert [data for _, data in before] == [data for _, data in after]  # sound longer than the picture, too


def test_sound_that_ends_early_stays_short(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", Film(seconds=4.0, sounds=(Sound(seconds=0.5),)))
    mux(path, path, tmp_path / "b.mp4")
    assert packets_of(tmp_path / "b.mp4", 1) == packets_of(path, 1)


def test_the_silence_that_the_encoder_put_first_stays_hidden(tmp_path: Path) -> None:
    """An edit list leaves out AAC's first 1024 samples: decoded sound begins with the first of the source."""
    path = make_film(tmp_path / "a.mp4", Film(sounds=(Sound(seconds=2.0),)))
    mux(path, path, tmp_path / "b.mp4")

    def heard(name: str) -> list[tuple[int, bytes]]:
        with av.open(str(tmp_path / name)) as container:
            return [(f.pts, f.to_ndarray().tobytes()) for f in container.decode(audio=0)]

    assert packets_of(path, 1)[0][0] < 0
    assert heard("a.mp4") == heard("b.mp4")


def test_chapters_are_trimmed(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mkv", Film(4, sounds=()))
    with av.open(str(path)) as before, av.open(str(tmp_path / "c.mkv"), "w") as after:
        track = after.add_stream_from_template(before.streams.video[0])
        spans = [(0, 1000), (1000, 2500), (2500, 4000)]
        after.set_chapters(
            [
                {"id": i, "start": a, "end": b, "time_base": MS, "metadata": {"title": f"part {i}"}}
                for i, (a, b) in enumerate(spans)
            ]
        )
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = track
                after.mux(packet)
    picture = make_film(tmp_path / "p.mp4", Film(1, sounds=()))
    mux([picture], tmp_path / "c.mkv", tmp_path / "d.mkv", start=2.0, duration=1.0)
    with av.open(str(tmp_path / "d.mkv")) as container:
        chapters = container.chapters()
    times = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in chapters]
    assert [c["metadata"]["title"] for c in chapters] == ["part 1", "part 2"]
    assert times == [(0, Fraction(1, 2)), (Fraction(1, 2), 1)]
