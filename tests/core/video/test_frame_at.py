"""Frame k is the one that a reader counts up to, whatever the order in which frames are asked for."""

import random
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from textovsr.core.errors import FrameNumberError, SettingError
from textovsr.core.video import frame_at, frame_index
from textovsr.core.video.frame_at import FrameFile
from textovsr.core.video.frame_pictures import FramePictures, Wanted
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.clips import Clip, read_number

Make = Callable[[str, Clip], Path]

B_FRAMES = {"preset": "medium", "bf": "3", "g": "12", "crf": "10"}
OPEN_GOP = B_FRAMES | {"x264-params": "open-gop=1:b-pyramid=normal:scenecut=0"}
EVEN_GOPS = {"preset": "fast", "x264-params": "keyint=10:min-keyint=10:scenecut=0"}
UNEVEN = tuple(int(n * 40 + (n * n * 7) % 23) for n in range(60))
FINE = Fraction(1, 1000)

CLIPS = {
    "constant.mp4": Clip(pts=range(60)),
    "uneven.mkv": Clip(pts=UNEVEN, time_base=FINE),
    "b_frames.mp4": Clip(pts=range(60), options=B_FRAMES),
    "open_gop.mkv": Clip(pts=UNEVEN, time_base=FINE, options=OPEN_GOP),
    "hevc.mkv": Clip(codec="libx265", pts=range(40), options={"x265-params": "log-level=error:keyint=10:bframes=3"}),
    "hidden.webm": Clip(codec="libvpx", pts=range(60), options={"auto-alt-ref": "1", "lag-in-frames": "12", "g": "15"}),
    "many.ts": Clip(pts=range(60), options=B_FRAMES),
    "no_times.h264": Clip(pts=range(40), options=B_FRAMES),
    "b_frames.avi": Clip(codec="mpeg4", pts=range(40), options={"bf": "2", "g": "12"}),
    "refreshed.mp4": Clip(
        pts=range(60), options={"preset": "medium", "x264-params": "intra-refresh=1:keyint=12:bframes=0"}
    ),
    "open_gop.mpg": Clip(codec="mpeg2video", pts=range(60), options={"bf": "2", "g": "12"}),
    "late.mkv": Clip(pts=tuple(900 + pts for pts in UNEVEN), time_base=FINE, options=B_FRAMES),
}


def numbers_of(path: Path) -> list[int]:
    """What a reader sees."""
    with VideoReader(path) as reader:
        return [read_number(frame.image) for frame in reader]


def number_at(file: FrameFile, k: int) -> int:
    return read_number(file.pixels(k).permute(2, 0, 1) / 255)  # (H,W,C) -> (C,H,W)


@pytest.mark.parametrize("name", CLIPS)
def test_any_frame_in_any_order(name: str, make_clip: Make) -> None:
    path = make_clip(name, CLIPS[name])
    truth = numbers_of(path)
    file = FrameFile(path)
    _, index = file.look()
    assert len(index) == len(truth)
    order = [*range(8), len(truth) - 1, 0, *range(20, 10, -1), *random.Random(5).sample(range(len(truth)), 12)]
    assert [number_at(file, k) for k in order] == [truth[k] for k in order]


@pytest.mark.parametrize("name", CLIPS)
def test_the_index_holds_the_readers_times(name: str, make_clip: Make) -> None:
    path = make_clip(name, CLIPS[name])
    index = frame_index.index_frames(FrameFile(path).look()[0])
    with VideoReader(path) as reader:
        assert index.times.tolist() == list(reader.times())
    for start, duration in ((0.0, None), (0.5, None), (0.31, 0.4), (0.0, 0.05)):
        with VideoReader(path, start, duration) as reader:
            span = index.span(start, duration)
            assert index.times[span.start : span.stop].tolist() == list(reader.times())


def test_a_jump_decodes_only_from_a_key_frame_near_it(make_clip: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip("long.mp4", Clip(pts=range(250), options=B_FRAMES))
    decoded = []
    pictures = frame_at._pictures

    def counted(*where):
        for picture in pictures(*where):
            decoded.append(picture.pts)
            yield picture

    monkeypatch.setattr(frame_at, "_pictures", counted)
    file = FrameFile(path)
    assert number_at(file, 200) == 200
    assert len(decoded) <= 16
    assert [number_at(file, k) for k in (201, 202, 203)] == [201, 202, 203]
    assert len(decoded) <= 20
    assert [number_at(file, k) for k in (202, 201, 200)] == [202, 201, 200]  # still held
    assert len(decoded) <= 20


def test_pixels_are_the_readers_pixels(make_clip: Make) -> None:
    path = make_clip("turned.mp4", Clip(rotation=90, pts=range(12), tags=(1, 1, 1, 1)))
    file = FrameFile(path)
    with VideoReader(path) as reader:
        for k, frame in enumerate(reader):
            exact = (frame.image * 255 + 0.5).to(torch.uint8).permute(1, 2, 0)  # (C,H,W) -> (H,W,C)
            assert torch.equal(file.pixels(k), exact)
    assert file.pixels(0).shape == (64, 32, 3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le"])
@pytest.mark.parametrize(
    ("tags", "width"), [((1, 1, 1, 1), 64), ((6, 6, 6, 1), 64), ((9, 9, 14, 1), 64), ((1, 1, 1, 2), 64), (None, 1280)]
)
def test_previews_have_the_right_colours_and_size(tags: Any, width: int, pix_fmt: str, make_clip: Make) -> None:
    def colours(number: int, clip: Clip):
        import av

        levels = (number * 30 + 20, 200, 90)
        picture = np.full((clip.height, clip.width, 3), levels, np.uint8)
        picture[: clip.height // 2] = levels[::-1]
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        return frame.reformat(format=clip.pix_fmt, dst_colorspace=1, dst_color_range=tags[3] if tags else 1)

    path = make_clip("c.mkv", Clip(pts=range(4), draw=colours, width=width, tags=tags, pix_fmt=pix_fmt, rotation=90))
    file = FrameFile(path)
    for k in range(4):
        exact, quick = file.pixels(k).int(), file.preview(k, 10_000).int()
        assert (exact - quick)[:, :14].abs().max() <= 3
        assert (exact - quick)[:, 18:].abs().max() <= 3
    assert file.preview(0, width // 2).shape == (width // 2, 16, 3)
    assert file.preview(0, 1).shape == (1, 1, 3)


def test_deinterlaced_frames_are_the_readers(make_clip: Make) -> None:
    def fields(number: int, clip: Clip):
        import av

        rng = np.random.default_rng(number)
        picture = rng.integers(0, 255, (clip.height, clip.width // 4, 3), np.uint8).repeat(4, axis=1)
        return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=clip.pix_fmt)

    path = make_clip("fields.mkv", Clip(pts=range(120), draw=fields, options=EVEN_GOPS))
    file = FrameFile(path, "on")
    with VideoReader(path, deinterlace="on") as reader:
        truth = [(frame.image * 255 + 0.5).to(torch.uint8).permute(1, 2, 0) for frame in reader]
    for k in (0, 1, 119, 110, 60, 61, 50, 118, 3):
        assert torch.equal(file.pixels(k), truth[k]), k


def test_times_and_numbers(make_clip: Make) -> None:
    path = make_clip("uneven.mkv", CLIPS["uneven.mkv"])
    _, index = FrameFile(path).look()
    assert index.seconds(0) == 0.0
    assert index.seconds(10) == pytest.approx((UNEVEN[10] - UNEVEN[0]) / 1000)
    for k in (0, 9, 10, 59):
        assert index.at(index.seconds(k)) == k
        assert index.at(index.seconds(k) + 0.001) == k
    assert index.at(-5.0) == 0
    assert index.at(1e6) == 59


def test_damage_leaves_the_numbers_a_reader_gives(make_clip: Make) -> None:
    path = make_clip("damaged.ts", Clip(pts=range(60), options=B_FRAMES))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 6] = bytes(188 * 6)
    path.write_bytes(data)
    truth = numbers_of(path)
    assert len(truth) < 60
    file = FrameFile(path)
    for k in (len(truth) - 1, 0, len(truth) // 2):
        assert number_at(file, k) == truth[k]
    assert len(file.look()[1]) == len(truth)


@pytest.mark.parametrize("k", [-1, 60, 10**12])
def test_numbers_out_of_range_are_refused(k: int, make_clip: Make) -> None:
    file = FrameFile(make_clip("constant.mp4", CLIPS["constant.mp4"]))
    with pytest.raises(FrameNumberError, match=f"Expected a frame from 0 to 59, got {k}"):
        file.pixels(k)


def test_reading_the_index_can_be_stopped(make_clip: Make) -> None:
    class StopError(Exception):
        pass

    def check() -> None:
        raise StopError

    with pytest.raises(StopError):
        FrameFile(make_clip("constant.mp4", CLIPS["constant.mp4"])).look(check)


def test_pictures_are_made_once_and_bounded(make_clip: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip("constant.mp4", CLIPS["constant.mp4"])
    store = FramePictures()
    png = store.picture(Wanted(path, 7))
    assert store.picture(Wanted(path, 7)) is png
    with Image.open(BytesIO(png)) as picture:
        assert np.array_equal(np.asarray(picture), FrameFile(path).pixels(7).numpy())
    with Image.open(BytesIO(store.picture(Wanted(path, 7, "jpeg", 32)))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (32, 16))
    with Image.open(BytesIO(store.picture(Wanted(path, 7, "webp", 500)))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (64, 32))
    monkeypatch.setattr("textovsr.core.video.frame_pictures._PICTURE_BYTES", 3 * len(png))
    for k in range(10):
        store.picture(Wanted(path, k))
    assert store._size == sum(map(len, store._pictures.values())) <= 3 * len(png)
    with pytest.raises(SettingError, match="one of png, jpeg, webp, got 0, bmp"):
        store.picture(Wanted(path, 1, "bmp"))  # type: ignore[arg-type]


def test_a_file_that_is_written_anew_is_another_one(make_clip: Make) -> None:
    store = FramePictures()
    path = make_clip("clip.mp4", Clip(pts=range(10)))
    before = store.picture(Wanted(path, 5))
    make_clip("clip.mp4", Clip(pts=range(14), width=96))
    assert store.picture(Wanted(path, 5)) != before
    assert len(store.open(path).look()[1]) == 14


def test_idle_videos_are_closed(make_clip: Make) -> None:
    store = FramePictures()
    path = make_clip("clip.mp4", Clip(pts=range(30)))
    store.picture(Wanted(path, 5))
    file = store.open(path)
    store.rest(3600)
    assert file._pass is not None
    store.rest()
    assert file._pass is None
    assert not file._held
    assert number_at(file, 6) == 6
