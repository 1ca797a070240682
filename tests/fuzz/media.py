"""Fuzz targets that read a whole video file, made of whatever bytes.

The first byte chooses the suffix, the rest is the file. Only errors of ours may come out.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path

from textovsr.core.errors import EncoderError, OutputError, VideoError
from textovsr.core.job import Source
from textovsr.core.transcode import save_video
from textovsr.core.video.audio import read_audio
from textovsr.core.video.extent import missing_bytes
from textovsr.core.video.frame_at import FrameFile
from textovsr.core.video.frame_index import index_frames
from textovsr.core.video.matroska import store_aspect
from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader

SUFFIXES = ("mp4", "mkv", "avi", "ts", "webm", "gif", "mov", "bin")
_FRAMES = 12


@contextmanager
def scratch(data: bytes, suffix: str) -> Iterator[Path]:
    """A file with this content, gone afterwards."""
    path = Path(tempfile.gettempdir()) / f"textovsr-fuzz-{os.getpid()}.{suffix}"
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink()


@contextmanager
def video_file(data: bytes) -> Iterator[Path]:
    """The file that ``data`` means; what is wrong with it may be said."""
    suffix = SUFFIXES[data[0] % len(SUFFIXES)] if data else "mp4"
    with scratch(data[1:], suffix) as path, suppress(VideoError):
        yield path


def fuzz_probe(data: bytes) -> None:
    """It is described, and the description printed."""
    with video_file(data) as path:
        info = probe(path)
        json.dumps(info.as_dict())
        info.frames_in(0.5, 1.0)


def fuzz_reader(data: bytes) -> None:
    """Its beginning is read, then a part from the middle, as by one who trims it."""
    with video_file(data) as path:
        for start in (0.0, 0.05):
            with VideoReader(path, start) as reader:
                times = [frame.pts for frame in islice(reader, _FRAMES)]
                assert times == sorted(set(times))
                assert all((*reader.report.lost, *reader.report.notes))


def fuzz_frames(data: bytes) -> None:
    """Frames are taken by their numbers, as for the comparison of two videos."""
    with video_file(data) as path:
        index = index_frames(probe(path))
        assert index.at(index.seconds(len(index) - 1)) == len(index) - 1
        file = FrameFile(path)
        for number in (len(index) - 1, 0, len(index) // 2):
            file.preview(number, 64)
            file.pixels(number)
        file.close()


def fuzz_audio(data: bytes) -> None:
    """Its sound is decoded."""
    with video_file(data) as path:
        read_audio(path, 0.02, 0.5)


def fuzz_save(data: bytes) -> None:
    """It is saved under another name: its packets, sounds, texts, chapters and labels are taken over."""
    with video_file(data) as path, suppress(OutputError):
        kept = path.with_name(f"{path.stem}-saved.{'mkv' if data and data[0] & 8 else 'mp4'}")
        try:
            save_video(Source(path), kept)
        finally:
            kept.unlink(missing_ok=True)


def fuzz_layout(data: bytes) -> None:
    """What we read of containers ourselves: how long they say they are, and where Matroska keeps its tracks."""
    with scratch(data, "mkv") as path, suppress(EncoderError):
        assert missing_bytes(path) >= 0
        store_aspect(path, 480, Fraction(4, 3))
        assert path.stat().st_size == len(data)
