"""Windows of a video hold exactly the frames of their place, whatever the times of the frames."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import pytest

from textovsr.core.errors import CancelledError, SettingError, ShapeError
from textovsr.core.job import Source
from textovsr.core.overlaps import overlapping_windows
from textovsr.core.split import count_frames, read_windows, split_video
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.clips import Clip, read_number, write_clip

UNEVEN = tuple(accumulate([0, 1, 1, 5, 2, 1, 40, 1, 1, 1, 3, 700, 1, 2, 2, 1, 1, 9, 1, 1, 1]))
CLIPS = {
    "even.mp4": Clip(pts=range(21)),
    "uneven.mkv": Clip(pts=UNEVEN, time_base=Fraction(1, 1000)),
    "tick.mp4": Clip(pts=UNEVEN, time_base=Fraction(1, 90_000)),
    "late.ts": Clip(pts=range(50, 71)),
    "ntsc.mp4": Clip(pts=[1001 * t for t in range(21)], time_base=Fraction(1, 30_000), rate=Fraction(30_000, 1001)),
}


def numbers(source: Source) -> list[int]:
    """The numbers that are drawn on the frames of a part."""
    with VideoReader(source.path, source.start, source.duration) as reader:
        return [read_number(frame.image) for frame in reader]


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize(("length", "overlap"), [(8, 4), (5, 0), (1, 0), (40, 3)])
def test_windows_hold_exactly_their_frames(tmp_path: Path, name: str, length: int, overlap: int) -> None:
    source = Source(write_clip(tmp_path / name, CLIPS[name]))
    whole = numbers(source)
    found: list[int] = []
    windows = split_video(source, length, overlap, found.append)
    assert found == list(range(1, 22))
    assert tuple(window.place for window in windows) == overlapping_windows(21, length, overlap)
    some = windows if length > 1 else windows[::5]
    assert [numbers(window.source) for window in some] == [whole[w.place.start : w.place.stop] for w in some]


def test_windows_of_a_part_stay_in_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", CLIPS["even.mp4"])
    windows = split_video(Source(path, 0.2, 0.44, deinterlace="off"), 4, 2, lambda _: None)
    assert [numbers(window.source) for window in windows] == [
        list(range(5 + w.place.start, 5 + w.place.stop)) for w in windows
    ]
    assert windows[-1].place.stop == 11
    assert {window.source.deinterlace for window in windows} == {"off"}


def test_the_ends_of_the_whole_stay_open(tmp_path: Path) -> None:
    """So that sound before the first and after the last frame is not lost."""
    first, *_, last = split_video(Source(write_clip(tmp_path / "a.mp4", CLIPS["even.mp4"])), 8, 4, lambda _: None)
    assert (first.source.start, last.source.duration) == (0, None)


def test_a_wrong_overlap_is_refused_before_the_video_is_read(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="windows of 4 with an overlap of 4"):
        split_video(Source(tmp_path / "nothing.mp4"), 4, 4, lambda _: None)


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    def cancel(found: int) -> None:
        if found == 3:
            raise CancelledError

    with pytest.raises(CancelledError):
        split_video(Source(write_clip(tmp_path / "a.mp4", CLIPS["even.mp4"])), 8, 4, cancel)


def test_times_are_those_of_the_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", CLIPS["uneven.mkv"])
    with VideoReader(path, 0.01, 0.75) as reader:
        times: Iterable[int] = reader.times()
        assert list(times) == [frame.pts for frame in reader]
        assert reader.report.frames == len(list(reader.times())) > 5


def test_windows_are_read_one_by_one(tmp_path: Path) -> None:
    windows = split_video(Source(write_clip(tmp_path / "a.mkv", CLIPS["uneven.mkv"])), 8, 4, lambda _: None)
    sources, checked = [window.source for window in windows], 0

    def check() -> None:
        nonlocal checked
        checked += 1

    assert [count_frames(source) for source in sources] == [8] * 5
    pictures = read_windows(sources, [8] * 5, check)
    assert checked == 0
    first = next(pictures)
    assert (first.shape, checked) == ((8, 3, 32, 64), 8)
    assert [read_number(frame) for frame in first] == list(range(8))
    assert [read_number(frame) for window in pictures for frame in window] == [t for w in windows[1:] for t in w.place]
    for wrong in (7, 9):
        with pytest.raises(ShapeError, match=f"Expected {wrong} frames in a.mkv, got 8"):
            next(read_windows(sources[:1], [wrong], check))


@pytest.mark.parametrize("name", CLIPS)
def test_frames_are_counted(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, CLIPS[name])
    assert count_frames(Source(path)) == 21
    assert count_frames(Source(path, 0.0, 1000.0)) == 21
