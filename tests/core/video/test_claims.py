"""Whole files pass the check of what they claim, whatever their tables are like; the rest is in tests/fuzz."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from textovsr.core.errors import NotAVideoError
from textovsr.core.video import source
from textovsr.core.video.claims import check_claims, check_marks
from textovsr.core.video.probe import probe
from textovsr.tests.fuzz.boxes import box, full
from textovsr.tests.helpers.clips import Clip


@pytest.mark.parametrize(
    "clip",
    [
        Clip(audio="pcm_s16le", codec="rawvideo"),
        Clip(audio="adpcm_ima_qt", container={"movflags": "faststart"}),
        Clip(audio="pcm_s16le", container={"movflags": "frag_keyframe+empty_moov"}),
        Clip(audio=("aac", "pcm_alaw"), chapters=((0, 1), (1, 2)), subtitles="mov_text"),
    ],
)
def test_whole_files_pass(make_clip: Callable[[str, Clip], Path], clip: Clip) -> None:
    path = make_clip("a.mov", clip)
    check_claims(path)
    path.write_bytes(path.read_bytes()[:-200])  # cut off
    check_claims(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.ts", "a.h264"])
def test_other_files_pass(make_clip: Callable[[str, Clip], Path], name: str) -> None:
    check_claims(make_clip(name, Clip()))


def test_bare_streams_have_marks(make_clip: Callable[[str, Clip], Path]) -> None:
    path = make_clip("a.h264", Clip())
    with path.open("ab") as file:
        file.write(bytes(20 << 20) + path.read_bytes() + bytes(20 << 20) + path.read_bytes())
    check_marks(path)


def test_opening_has_an_end(make_clip: Callable[[str, Clip], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip("a.mp4", Clip())
    assert probe(path).frames
    monkeypatch.setattr(source, "_PATIENCE", 1e-9)
    with pytest.raises(NotAVideoError, match="1e-09 seconds are not enough"):
        probe(path)


def test_tables_are_held_once(tmp_path: Path) -> None:
    samples, path = 5_000_000, tmp_path / "large.mp4"
    tables = full(b"stsz", struct.pack(">II", 0, samples), bytes(4 * samples))
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        tables = box(kind, tables)
    path.write_bytes(tables)
    tracemalloc.start()
    try:
        check_claims(path)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(tables)
    finally:
        tracemalloc.stop()
