"""Cuts: the stream's properties on any pictures, precision and recall on the real clips that ship."""

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import SettingError
from textovsr.core.video.cuts import CONTEXT, DELAY, mark_cuts
from textovsr.core.video.reader import VideoReader

SIZE = (72, 128)
SCENES = torch.rand(5, 3, 9, 16, generator=torch.Generator().manual_seed(3))


def picture(number: int) -> Tensor:
    """One of five scenes, at one of ten moments: the scene moves and its light changes."""
    scene, moment = divmod(number, 10)
    return SCENES[scene].roll(moment % 4, -1) * (1 - 0.05 * moment)


def marks(frames: "list[Tensor] | Tensor") -> list[bool]:
    return [cut for _, cut in mark_cuts(frames, lambda frame: frame)]


def starts(frames: "list[Tensor] | Tensor") -> list[int]:
    return [index for index, cut in enumerate(marks(frames)) if cut]


videos = st.lists(st.tuples(st.integers(0, 49), st.integers(1, 4)), max_size=10).map(
    lambda runs: [number for number, length in runs for _ in range(length)]
)


@given(video=videos)
@settings(max_examples=50, deadline=None)
def test_every_item_comes_back_once_in_order_and_few_are_held(video: list[int]) -> None:
    drawn = 0

    def source() -> Iterator[tuple[int, int]]:
        nonlocal drawn
        for item in enumerate(video):
            drawn += 1
            yield item

    given_back = []
    for item, cut in mark_cuts(source(), lambda item: picture(item[1])):
        given_back.append(item)
        assert drawn - len(given_back) <= DELAY
        assert not (cut and item[0] == 0)
    assert given_back == list(enumerate(video))


@given(video=videos, data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_stream_that_starts_context_earlier_finds_the_same_cuts(video: list[int], data: st.DataObject) -> None:
    frames = [picture(number) for number in video]
    start = data.draw(st.integers(0, len(frames)))
    assert marks(frames[start:])[CONTEXT:] == marks(frames)[start + CONTEXT :]


@given(video=videos, data=st.data())
@settings(max_examples=50, deadline=None)
def test_nothing_later_than_delay_changes_a_mark(video: list[int], data: st.DataObject) -> None:
    frames = [picture(number) for number in video]
    end = data.draw(st.integers(0, len(frames)))
    settled = max(0, end - DELAY)
    assert marks(frames[:end])[:settled] == marks(frames)[:settled]


@pytest.mark.parametrize("length", range(1, 10))
def test_a_scene_that_comes_back_is_judged_by_the_same_frames_from_any_start_to_any_end(length: int) -> None:
    frames = [picture(number) for number in [0] * 8 + [10] * length + [0] * 8]
    whole = marks(frames)
    for middle in range(len(frames)):
        assert marks(frames[middle:])[CONTEXT:] == whole[middle + CONTEXT :]
        assert marks(frames[:middle])[: max(0, middle - DELAY)] == whole[: max(0, middle - DELAY)]


def test_the_properties_are_tried_on_videos_with_cuts() -> None:
    assert starts([picture(n) for n in [0] * 6 + [10] * 6 + [20] * 6]) == [6, 12]


@pytest.mark.parametrize(("video", "expected"), [([], []), ([0], []), ([0, 0], []), ([0, 10], [1]), ([0, 0, 10], [2])])
def test_the_shortest_streams(video: list[int], expected: list[int]) -> None:
    assert starts([picture(number) for number in video]) == expected


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (10, 2000), (300, 1200)])
def test_any_size(size: tuple[int, int]) -> None:
    frames = [F.interpolate(picture(n)[None], size, mode="bilinear")[0] for n in [0] * 5 + [30] * 5]
    assert starts(frames) == ([] if size == (1, 1) else [5])


@pytest.mark.parametrize("threshold", [0, -1.0, math.nan])
def test_a_threshold_must_be_above_0(threshold: float) -> None:
    with pytest.raises(SettingError, match="above 0, got"):
        mark_cuts([], lambda frame: frame, threshold)


@pytest.mark.parametrize("threshold", [1.0, math.inf])
def test_from_1_on_no_cuts_are_looked_for(threshold: float) -> None:
    def untouched(item: int) -> Tensor:
        raise AssertionError(item)

    assert list(mark_cuts(range(9), untouched, threshold)) == [(item, False) for item in range(9)]


@pytest.fixture(scope="module")
def clips(root: Path) -> list[Tensor]:
    """Four real shots, (T,3,72,128): a dog, a hand before a tree, a street from above, bicycles."""
    paths = ["clips/phone.mp4", "clips/webcam.avi", "tests/data/validate/vtest_hr.mkv"]
    paths.append("tests/data/validate/bikes_hr.mkv")
    shots = []
    for path in paths:
        with VideoReader(root / path) as reader:
            shots.append(torch.stack([F.interpolate(f.image[None], SIZE, mode="area")[0] for f in reader]))
    return shots


def edited(clips: list[Tensor], seed: int) -> tuple[Tensor, list[int]]:
    """Twenty shots of 4 to 16 frames, no clip twice in a row, some mirrored; and where they begin."""
    generator = torch.Generator().manual_seed(seed)

    def draw(end: int) -> int:
        return int(torch.randint(end, (1,), generator=generator))

    shots: list[Tensor] = []
    which = 0
    for _ in range(20):
        which = (which + 1 + draw(len(clips) - 1)) % len(clips)
        clip = clips[which].flip(-1) if draw(2) else clips[which]
        length = 4 + draw(min(len(clip), 16) - 3)
        start = draw(len(clip) - length + 1)
        shots.append(clip[start : start + length])
    lengths = torch.tensor([len(shot) for shot in shots])
    return torch.cat(shots), lengths.cumsum(0)[:-1].tolist()


def random(frames: Tensor, *shape: int) -> Tensor:
    return torch.randn(shape or frames.shape, generator=torch.Generator().manual_seed(7))


def compressed(frames: Tensor) -> Tensor:
    """Through x264 at CRF 45."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "45", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = SIZE[1], SIZE[0], "yuv420p", 1
        for frame in (frames * 255).byte().permute(0, 2, 3, 1).numpy():  # (T,3,H,W) -> (T,H,W,3)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame.copy(), format="rgb24")))
        output.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        arrays = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.stack([torch.from_numpy(array).permute(2, 0, 1) for array in arrays]) / 255


CONDITIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "clean": (lambda frames: frames, 1.0),
    "noise": (lambda frames: frames + random(frames) * 25 / 255, 0.97),
    "compressed": (compressed, 0.97),
    "flicker": (lambda frames: frames * (1 + 0.18 * random(frames, len(frames), 1, 1, 1)), 0.97),
    "dark": (lambda frames: frames * 0.12 + random(frames) * 2.5 / 255, 0.97),
    "flat grey": (lambda frames: 0.35 + (frames.mean(1, keepdim=True).expand_as(frames) - 0.5) * 0.3, 0.97),
    "blurred": (lambda frames: F.avg_pool2d(frames, 9, 1, 4, count_include_pad=False), 0.97),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_cuts_between_real_shots_are_found_and_nothing_else(clips: list[Tensor], condition: str) -> None:
    """57 cuts; a floor of 0.97 allows one mistake, of 1 none."""
    change, floor = CONDITIONS[condition]
    right = found = there = 0
    for seed in range(3):
        frames, cuts = edited(clips, seed)
        marked = starts(change(frames).clamp(0, 1))
        right += len(set(marked) & set(cuts))
        found, there = found + len(marked), there + len(cuts)
    assert right / found >= floor
    assert right / there >= floor


def flash(shot: Tensor) -> None:
    shot[8:11] = shot[8:11] * 0.25 + 0.6


def black(shot: Tensor) -> None:
    shot[8:11] = 0.01


def subtitle(shot: Tensor) -> None:
    shot[8:, :, 56:66, 20:108] *= 0.5
    shot[8:, :, 58:64:2, 24:104:2] = 1.0


def frozen(shot: Tensor) -> None:
    shot[8:11] = shot[8]


def dissolve(shot: Tensor) -> None:
    share = ((torch.arange(len(shot)) - 2) / 10).clamp(0, 1)[:, None, None, None]
    shot.copy_(shot * (1 - share) + shot.flip(-1) * share)


def fade(shot: Tensor) -> None:
    shot *= ((torch.arange(len(shot)) - 8).abs() / 8)[:, None, None, None]


def switch(shot: Tensor) -> None:
    shot[8:] *= 0.45


def pan(shot: Tensor) -> None:
    still = torch.cat([shot[0], shot[0].flip(-1)], -1)
    for index in range(len(shot)):
        shot[index] = still.roll(-20 * index, -1)[..., : SIZE[1]]


@pytest.mark.parametrize("disturb", [flash, black, subtitle, frozen, dissolve, fade, switch, pan])
def test_what_is_not_a_cut(clips: list[Tensor], disturb: Callable[[Tensor], None]) -> None:
    for clip in clips:
        shot = clip[:16].clone()
        disturb(shot)
        assert starts(shot) == []


def test_frames_repeated_before_a_cut_do_not_hide_it(clips: list[Tensor]) -> None:
    frames = torch.cat([clips[0][:8], clips[3][:8]]).repeat_interleave(2, 0)
    assert starts(frames) == [16]


def test_a_slide_that_changes_is_a_cut(clips: list[Tensor]) -> None:
    frames = torch.cat([clips[index][:1].expand(9, -1, -1, -1) for index in (0, 2, 1)])
    assert starts(frames) == [9, 18]


def test_a_shot_of_one_frame_is_one_cut(clips: list[Tensor]) -> None:
    assert len(starts(torch.cat([clips[0][:8], clips[1][:1], clips[2][:8]]))) == 1


def test_a_cut_on_a_dirty_frame_is_one_cut(clips: list[Tensor]) -> None:
    frames = torch.cat([clips[0][:8], clips[2][:8]])
    frames[7, :, 20:50, 30:90] = 0.1
    assert starts(frames) == [8]
