"""A folder of pictures: every frame exactly, its time exactly, and whole or absent."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import EncoderError, OutputExistsError
from textovsr.core.video.color import ColorTags
from textovsr.core.video.segments import segment_suffix
from textovsr.core.video.sequence import TIMES, write_sequence
from textovsr.core.video.source import silence_ffmpeg
from textovsr.core.video.writer import VideoSpec, VideoWriter
from textovsr.tests.helpers.films import Film, make_film

PTS = [0, 1001, 2002, 5005, 5006, 9009]
BASE = Fraction(1, 30_000)


def segments(folder: Path, codec: str = "png") -> list[Path]:
    spec = VideoSpec(6, 4, BASE, Fraction(30), Fraction(1), ColorTags(1, 1, 1, False))
    paths = []
    for first, last in ((0, 2), (2, 3), (3, 5)):
        paths.append(folder / f"{first}{segment_suffix(codec)}")
        with VideoWriter(paths[-1], spec, EncodeConfig(codec=codec)) as writer:
            for index in range(first, last):
                writer.write(picture(index), PTS[index], PTS[index + 1] - PTS[index])
    return paths


def picture(index: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, 4, 6), generator=torch.Generator().manual_seed(index)) / 255


def test_every_frame_and_its_time(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", Film())
    report = write_sequence(segments(tmp_path), source, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted([*(f"frame_{n:06}.png" for n in range(1, 6)), TIMES])
    silence_ffmpeg()
    for index in range(5):
        with av.open(str(tmp_path / "out" / f"frame_{index + 1:06}.png")) as container:
            stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert np.array_equal(stored, (picture(index) * 255).round().byte().permute(1, 2, 0).numpy())
    rows = [line.split("\t") for line in (tmp_path / "out" / TIMES).read_text().splitlines()[1:]]
    assert [(int(n), Fraction(begins), Fraction(lasts)) for n, begins, lasts in rows] == [
        (n + 1, PTS[n] * BASE, (PTS[n + 1] - PTS[n]) * BASE) for n in range(5)
    ]
    assert report.dropped == ["audio #1 (aac, und): a folder of pictures cannot hold it; write a video."]
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", Film(sounds=()))
    parts = segments(tmp_path)
    (tmp_path / "out").mkdir()
    write_sequence(parts, source, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="an empty folder or a new one"):
        write_sequence(parts, source, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="got the file"):
        write_sequence(parts, source, source)


def test_the_folder_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_film(tmp_path / "a.mp4", Film(sounds=()))
    parts = segments(tmp_path)
    fsync, calls = os.fsync, []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 4:
            raise InterruptedError
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InterruptedError):
        write_sequence(parts, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_other_segments_are_refused(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", Film(sounds=()))
    with pytest.raises(EncoderError, match="segments of PNG pictures"):
        write_sequence(segments(tmp_path, "prores"), source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
