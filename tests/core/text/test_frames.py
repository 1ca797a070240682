"""Scenes of a video and the pictures that stand for them."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.errors import SettingError, VideoNotFoundError
from textovsr.core.job import Source
from textovsr.core.text.caption import caption_source
from textovsr.core.text.frames import Scene, SceneConfig, pick_scenes, sharpness
from textovsr.core.text.vtt import Cue
from textovsr.tests.helpers.clips import Clip, write_clip

CUT = 20
LENGTH = 50
SHARP = (7, 33)
"""The frames that are not blurred, one in each shot."""


def detailed(seed: int, height: int = 48, width: int = 64) -> Tensor:
    """(3,H,W) in [0,1] with detail everywhere."""
    noise = torch.rand(3, height // 2, width // 2, generator=torch.Generator().manual_seed(seed))
    return noise.repeat_interleave(2, 1).repeat_interleave(2, 2)


def blurred(image: Tensor, radius: int) -> Tensor:
    size = 2 * radius + 1
    return F.avg_pool2d(F.pad(image[None], (radius,) * 4, mode="replicate"), size, 1)[0] if radius else image


def drawn(number: int, clip: Clip) -> av.VideoFrame:
    """A grey scene, and from CUT on another; blurred but for the frames of SHARP. Red tells the frame's number."""
    shot = int(number >= CUT)
    image = detailed(shot, clip.height, clip.width)[:1].repeat(3, 1, 1) * 0.6 + 0.3 * shot
    image = blurred(image, 0 if number in SHARP else 2)
    image[:, :8, :8] = torch.tensor([number / 100, 0.5, 0.5])[:, None, None]
    return av.VideoFrame.from_ndarray(image.mul(255).byte().permute(1, 2, 0).numpy().copy(), format="rgb24")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots, 20 and 30 frames of 64x48 at 25 fps."""
    clip = Clip(codec="libx264rgb", pix_fmt="rgb24", width=64, height=48, pts=tuple(range(LENGTH)), draw=drawn,
                options={"crf": "0", "preset": "ultrafast"})  # fmt: skip
    return write_clip(tmp_path_factory.mktemp("frames") / "two.mkv", clip)


def number(image: Tensor) -> int:
    return round(float(image[0, 2:6, 2:6].float().mean()) / 255 * 100)


def scenes(video: Path, config: SceneConfig | None = None, **part: Any) -> list[Scene]:
    return list(pick_scenes(Source(video, **part), config))


def test_the_sharpest_frame_stands_for_its_shot(video: Path) -> None:
    first, second = scenes(video)
    assert [(s.start, s.end, s.frames) for s in (first, second)] == [
        (0.0, pytest.approx(0.8), 20),
        (pytest.approx(0.8), pytest.approx(2.0), 30),
    ]
    assert [number(image) for s in (first, second) for image in s.images] == list(SHARP)
    assert first.images[0].dtype == torch.uint8
    assert first.images[0].shape == (3, 48, 64)


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_several_frames_are_spread_and_in_order(video: Path, frames: int) -> None:
    (scene,) = scenes(video, SceneConfig(frames, cut_threshold=1.0))
    numbers = [number(image) for image in scene.images]
    assert len(numbers) == frames
    assert numbers == sorted(set(numbers))
    assert set(SHARP) <= set(numbers)
    assert max(b - a for a, b in zip([0, *numbers], [*numbers, LENGTH], strict=True)) <= 2 * LENGTH / frames + 8


def test_a_scene_every_so_many_seconds(video: Path) -> None:
    found = scenes(video, SceneConfig(every=0.4))
    assert [round(s.start, 2) for s in found] == [0.0, 0.4, 0.8, 1.2, 1.6]  # and one at the cut
    assert [s.frames for s in found] == [10] * 5
    assert [round(s.start, 2) for s in scenes(video, SceneConfig(every=0.5, cut_threshold=1.0))] == [
        0,
        0.52,
        1.04,
        1.56,
    ]


def test_times_are_on_the_video_s_own_timeline(video: Path) -> None:
    (scene,) = scenes(video, start=1.0, duration=0.6)
    assert (scene.start, scene.end, scene.frames) == (pytest.approx(1.0), pytest.approx(1.6), 15)
    assert [number(image) for image in scene.images] == [33]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_short_video_has_fewer_pictures(tmp_path: Path, frames: int) -> None:
    path = write_clip(tmp_path / "short.mkv", Clip(pts=tuple(range(frames))))
    (scene,) = scenes(path, SceneConfig(8, cut_threshold=1.0))
    assert len(scene.images) == scene.frames == frames


def test_large_frames_are_shrunk(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "large.mkv", Clip(width=96, height=48, pts=(0, 1)))
    assert scenes(path, SceneConfig(side=32))[0].images[0].shape == (3, 16, 32)


def test_a_long_scene_keeps_few_pictures(monkeypatch: pytest.MonkeyPatch, video: Path) -> None:
    from textovsr.core.text import frames

    held: list[int] = []
    plain = frames._OpenScene.add

    def add(scene: Any, frame: Any) -> None:
        plain(scene, frame)
        held.append(len(scene.parts))

    monkeypatch.setattr(frames._OpenScene, "add", add)
    scenes(video, SceneConfig(2, cut_threshold=1.0))
    assert max(held) == 4


def test_progress_is_told_and_may_cancel(video: Path) -> None:
    told: list[tuple[int, int | None]] = []
    list(pick_scenes(Source(video), report=lambda done, total, newest: told.append((done, total))))
    assert [done for done, _ in told] == list(range(1, LENGTH + 1))

    def stop(done: int, total: int | None, newest: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(pick_scenes(Source(video), report=stop))


@pytest.mark.parametrize("size", [(3, 3), (16, 16), (48, 64), (540, 1100)])
def test_blur_makes_a_picture_less_sharp(size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    values = [sharpness(blurred(image, radius)) for radius in (0, 1)]
    assert values[0] > values[1] >= 0
    assert sharpness(torch.full((3, *size), 0.5)) == 0


def test_motion_in_one_direction_counts_too() -> None:
    image = detailed(3)
    smeared = torch.stack([image.roll(shift, 2) for shift in range(4)]).mean(0)
    assert sharpness(image) > sharpness(smeared) + 1


@pytest.mark.parametrize("place", [(slice(None), slice(40, 42)), (slice(50, 60), slice(20, 70))])
def test_a_scratch_or_dirt_is_no_sharpness(place: tuple[slice, slice]) -> None:
    image = blurred(detailed(5, 96, 128), 2)
    spoilt = blurred(image, 1)
    rows, columns = place
    spoilt[:, rows, columns] = detailed(6, 96, 128)[:, rows, columns].round()
    plain = [float(np.var(np.diff(picture.numpy(), n=2))) for picture in (image, spoilt)]
    assert plain[1] > plain[0]  # the usual variance is taken in
    assert sharpness(image) > sharpness(spoilt)


class Pen:
    """A captioner that writes the number of the frame it sees."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, scenes: Any) -> list[str]:
        self.batches.append(len(scenes))
        return [" ".join(str(number(image)) for image in scene) for scene in scenes]


@pytest.mark.parametrize(("batch", "batches"), [(1, [1] * 5), (2, [2, 2, 1]), (8, [5])])
def test_captions_are_written_in_batches(video: Path, batch: int, batches: list[int]) -> None:
    pen = Pen()
    cues = list(caption_source(Source(video), pen, SceneConfig(every=0.4), batch=batch))
    assert pen.batches == batches
    assert cues[0] == Cue(0.0, pytest.approx(0.4), "7")
    assert cues[3].text == "33"
    assert [round(cue.start, 2) for cue in cues] == [0.0, 0.4, 0.8, 1.2, 1.6]


def test_only_a_batch_of_scenes_waits(video: Path) -> None:
    read: list[int] = []
    cues = caption_source(Source(video), Pen(), SceneConfig(every=0.2), lambda done, *_: read.append(done), batch=2)
    next(cues)
    assert len(read) <= 11  # two scenes of five frames, and the one that ends them
    cues.close()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"frames": 0}, "at least 1 frame per scene"),
        ({"every": -1.0}, "every 0 seconds or more"),
        ({"every": float("nan")}, "every 0 seconds or more"),
        ({"side": 8}, "at least 16 pixels"),
    ],
)
def test_settings_are_checked(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SceneConfig(**choice)


def test_batches_and_files_are_checked(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="at least 1 scene at once"):
        next(caption_source(Source(tmp_path / "none.mp4"), Pen(), batch=0))
    with pytest.raises(VideoNotFoundError):
        next(caption_source(Source(tmp_path / "none.mp4"), Pen()))
