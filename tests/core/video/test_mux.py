"""Muxing: everything beside the picture is in the result, unchanged and in sync."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import EncoderError, VideoNotFoundError
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.mux import mux
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.writer import VideoWriter

MakeClip = Callable[[str, Any], Path]
LONG = tuple(range(0, 2500, 40))
MS = Fraction(1, 1000)


def restore(source: Path, start: float = 0.0, duration: float | None = None) -> Path:
    """Encode the picture of ``source`` alone, as the pipeline does."""
    path = source.with_name("picture.mp4")
    reader = VideoReader(source, start, duration)
    info = reader.info
    spec = VideoSpec(info.width, info.height, info.time_base, info.frame_rate, info.sample_aspect_ratio, info.color)
    with VideoWriter(path, spec, EncodeConfig()) as writer:
        for frame in reader:
            writer.write(frame.image, frame.pts, frame.duration)
    return path


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


@pytest.mark.parametrize(
    ("source", "audio", "output"),
    [("a.mp4", "aac", "b.mp4"), ("a.mp4", "aac", "b.mov"), ("a.mkv", "libopus", "b.mkv"), ("a.mkv", "flac", "b.mp4"),
     ("a.mkv", "libopus", "b.mp4"), ("a.mov", "pcm_s16le", "b.mov"), ("a.ts", "aac", "b.ts.mp4")],
)  # fmt: skip
def test_sound_is_copied_byte_for_byte(
    make_clip: MakeClip, clip_type: Any, tmp_path: Path, source: str, audio: str, output: str
) -> None:
    path = make_clip(source, clip_type(audio=audio, pts=LONG, time_base=MS))
    report = mux(restore(path), path, tmp_path / output)
    assert (len(report.copied), report.converted, report.dropped) == (1, [], [])
    before, after = packets(path, "audio"), packets(tmp_path / output, "audio")
    strip = 7 if source.endswith(".ts") else 0  # MPEG-TS puts an ADTS header before each AAC packet
    assert [data[strip:] for _, data in before] == [data for _, data in after]
    gap_before = before[0][0] - packets(path, "video")[0][0]
    gap_after = after[0][0] - packets(tmp_path / output, "video")[0][0]
    assert abs(gap_before - gap_after) <= MS
    assert not list(tmp_path.glob(".*"))


def test_frame_times_are_those_of_the_source(make_clip: MakeClip, clip_type: Any, tmp_path: Path) -> None:
    pts = (700, 1000, 1001, 5000, 9000, 9001)
    path = make_clip("a.mp4", clip_type(pts=pts, time_base=Fraction(1, 1000), audio="aac"))
    mux(restore(path), path, tmp_path / "b.mp4")
    reader = VideoReader(tmp_path / "b.mp4")
    assert [f.pts * reader.info.time_base for f in reader] == [p * MS for p in pts]


def test_a_transport_stream_begins_at_zero(make_clip: MakeClip, clip_type: Any, tmp_path: Path) -> None:
    path = make_clip("a.ts", clip_type(pts=[5000 + t for t in LONG], time_base=MS))
    assert VideoReader(path).info.start_time > 1
    mux(restore(path), path, tmp_path / "b.mp4")
    assert VideoReader(tmp_path / "b.mp4").info.start_time < Fraction(1, 10)


@pytest.mark.parametrize("output", ["b.mp4", "b.mkv", "b.webm"])
def test_labels_chapters_subtitles_and_tags_travel(
    make_clip: MakeClip, clip_type: Any, tmp_path: Path, output: str
) -> None:
    clip = clip_type(
        codec="libsvtav1", options={"preset": "12"}, audio="libopus", subtitles="subrip", pts=LONG, time_base=MS,
        chapters=((0, 1000), (1000, 2500)), metadata={"title": "home"}, attachment=True,
    )  # fmt: skip
    path = make_clip("a.mkv", clip)
    picture = path
    report = mux(picture, path, tmp_path / output, metadata={"prompt": '{"a": 1}'})
    with av.open(str(tmp_path / output)) as container:
        assert [s.language for s in container.streams.video] == ["deu"]
        assert [s.language for s in container.streams.audio] == ["fra"]
        assert [s.language for s in container.streams.subtitles] == ["eng"]
        assert [c["metadata"]["title"] for c in container.chapters()] == ["part 0", "part 1"]
        tags = {k.lower(): v for k, v in container.metadata.items()}
        assert (tags["title"], tags["prompt"]) == ("home", '{"a": 1}')
        attachments = [s.data for s in container.streams if s.type == "attachment"]
    assert attachments == ([b"not really a font"] if output == "b.mkv" else [])
    lines = [(float(t), d) for t, d in packets(tmp_path / output, "subtitles") if b"line" in d]
    assert [t for t, _ in lines] == pytest.approx([0, 1, 2], abs=0.03)
    assert [d[-6:] for _, d in lines] == [b"line 0", b"line 1", b"line 2"]
    assert len(report.converted) == (0 if output == "b.mkv" else 1)
    assert len(report.dropped) == (0 if output == "b.mkv" else 1)


@pytest.mark.parametrize(("audio", "output", "encoder"), [("aac", "b.webm", "opus"), ("wmav2", "b.mp4", "aac")])
def test_sound_is_converted_where_it_cannot_be_held(
    make_clip: MakeClip, clip_type: Any, tmp_path: Path, audio: str, output: str, encoder: str
) -> None:
    picture = make_clip("picture.mkv", clip_type(codec="libsvtav1", options={"preset": "12"}, pts=LONG, time_base=MS))
    path = make_clip(
        "a.wmv" if audio == "wmav2" else "a.mp4", clip_type(codec="mpeg4", audio=audio, pts=LONG, time_base=MS)
    )
    report = mux(picture, path, tmp_path / output)
    assert "converted to" in report.converted[0]
    with av.open(str(tmp_path / output)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == encoder
        decoded = sum(f.samples for f in container.decode(audio=0)) / container.streams.audio[0].rate
    assert decoded == pytest.approx(2.58, abs=0.08)
    shift = packets(tmp_path / output, "audio")[0][0] - packets(path, "audio")[0][0]
    assert abs(shift) < 0.07  # the encoders' own delays


@pytest.mark.parametrize("output", ["b.mp4", "b.mkv"])
@pytest.mark.parametrize(("start", "duration"), [(0.5, 1.0), (1.0, None), (0.0, 0.5)])
def test_a_trim_stays_in_sync(
    make_clip: MakeClip, clip_type: Any, tmp_path: Path, output: str, start: float, duration: float | None
) -> None:
    clip = clip_type(audio="aac", subtitles="mov_text" if output == "b.mp4" else None, pts=LONG, time_base=MS)
    path = make_clip("a.mp4", clip if output == "b.mkv" else clip_type(audio="aac", pts=LONG, time_base=MS))
    mux(restore(path, start, duration), path, tmp_path / output, start=start, duration=duration)
    end = start + (duration or 99)
    picture = packets(path, "video"), packets(tmp_path / output, "video")
    sound = packets(path, "audio"), packets(tmp_path / output, "audio")
    first = next(t for t, _ in sorted(picture[0]) if t >= start)
    kept = [(t, d) for t, d in sound[0] if t + Fraction(1024, 48_000) > start and t < end] if start else sound[0]
    kept = [(t, d) for t, d in kept if t < end]
    assert [d for _, d in kept] == [d for _, d in sound[1]]
    assert abs((kept[0][0] - first) - (sound[1][0][0] - sorted(picture[1])[0][0])) <= MS
    if output == "b.mp4":
        assert sorted(picture[1])[0][0] == first - Fraction(start)


def test_an_avi_is_trimmed_near_its_beginning(make_clip: MakeClip, clip_type: Any, tmp_path: Path) -> None:
    """It cannot be sought before its first time; its sound's ticks are packets long, and no part of a picture's."""
    path = make_clip("a.avi", clip_type(codec="mpeg4", audio="ac3"))
    mux(restore(path, 0.4), path, tmp_path / "b.mov", start=0.4)
    whole, kept = packets(path, "audio"), packets(tmp_path / "b.mov", "audio")
    assert 0 < len(kept) < len(whole)
    assert [data for _, data in kept] == [data for _, data in whole[-len(kept) :]]
    assert abs(kept[0][0] - (whole[-len(kept)][0] - Fraction(2, 5))) <= Fraction(1, 48_000)


def test_the_output_is_whole_or_absent(make_clip: MakeClip, clip_type: Any, tmp_path: Path) -> None:
    path = make_clip("a.mkv", clip_type())
    (tmp_path / "b.webm").write_bytes(b"the old one")
    with pytest.raises(EncoderError, match=r"choose \.mkv, which holds most codecs"):
        mux(path, path, tmp_path / "b.webm")
    assert (tmp_path / "b.webm").read_bytes() == b"the old one"
    assert not list(tmp_path.glob(".*"))


def test_an_unknown_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"named \.mp4, \.mov, \.mkv, \.webm"):
        mux(tmp_path / "a.mp4", tmp_path / "a.mp4", tmp_path / "b.avi")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoNotFoundError, match=r"a\.mp4, which does not exist"):
        mux(tmp_path / "a.mp4", tmp_path / "a.mp4", tmp_path / "b.mp4")
