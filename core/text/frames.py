"""The frames of a video that stand for its shots: the sharpest ones, found while streaming."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import CUT_THRESHOLD
from ..errors import SettingError
from ..job import Source
from ..video.cuts import mark_cuts
from ..video.probe import VideoInfo
from ..video.reader import Frame, VideoReader
from ..video.source import to_ticks

_BLOCKS = 8  # a side
_SIDE = 512  # pixels that sharpness is judged at, about: finer than that is grain
_GRAIN = (1 / 255) ** 2  # energy that even an empty block has

Report = Callable[[int, int | None, Tensor], None]
"""Takes the number of frames read so far, of all if that is known, and the newest one, (3,H,W)."""


@dataclass(frozen=True)
class SceneConfig:
    """What a caption is written for.

    Attributes:
        frames: pictures of a scene, at most; each is the sharpest of its part of the scene.
        every: seconds a scene lasts at most; 0 makes one scene of every shot.
        cut_threshold: see ``video.cuts.mark_cuts``; 1 finds no cuts.
        side: the longer side of a picture in pixels, at most.

    Raises:
        SettingError: a number is out of its range.
    """

    frames: int = 1
    every: float = 0.0
    cut_threshold: float = CUT_THRESHOLD
    side: int = 1024

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise SettingError(f"Expected at least 1 frame per scene, got {self.frames}; choose 1 or more.")
        if not self.every >= 0:
            raise SettingError(f"Expected a scene every 0 seconds or more, got {self.every:g}; 0 follows the shots.")
        if self.side < 16:
            raise SettingError(f"Expected pictures of at least 16 pixels, got {self.side}; choose a larger side.")


@dataclass(frozen=True)
class Scene:
    """A shot, or a part of one.

    Attributes:
        start: seconds from the video's beginning.
        end: where the next scene begins.
        frames: its length.
        images: its pictures in the order of time, each (3,h,w) uint8 RGB.
    """

    start: float
    end: float
    frames: int
    images: tuple[Tensor, ...]


def sharpness(image: Tensor) -> float:
    """How sharp a picture is: the energy of the Laplacian of its brightness, the geometric mean over 8x8 blocks.

    The geometric mean asks for sharpness everywhere, and the eighth of the blocks with the most energy is left out: so
    much dirt, a subtitle, or a scratch from top to bottom makes no picture the sharpest. Only pictures of one size and
    one scene can be compared.

    Args:
        image: (3,H,W) RGB in [0,1], at least 3x3.

    Returns:
        Decibels over one grey level of 255; 0 for an empty picture.
    """
    step = max(1, max(image.shape[-2:]) // _SIDE)
    red, green, blue = image.float()
    luma = F.avg_pool2d((red * 0.299).add_(green, alpha=0.587).add_(blue, alpha=0.114)[None], step)[0]
    centre, across, down = luma[1:-1, 1:-1], luma[1:-1, :-2] + luma[1:-1, 2:], luma[:-2, 1:-1] + luma[2:, 1:-1]
    energy = (4 * centre - across - down).square()
    blocks = F.adaptive_avg_pool2d(energy[None], (_BLOCKS, _BLOCKS)).flatten()
    return float(10 * torch.log10(blocks.sort().values[:-_BLOCKS] / _GRAIN + 1).mean())


def pick_scenes(source: Source, config: SceneConfig | None = None, report: Report | None = None) -> Iterator[Scene]:
    """Read a video, or a part of it, once and yield its scenes as they end.

    Peak memory: the frames that finding cuts needs, and twice the pictures of one scene, whatever the length.

    Args:
        source: the video, or a part of it.
        config: how long scenes are, and how many pictures stand for one.
        report: called after every frame; may raise to cancel.

    Raises:
        VideoError: from ``VideoReader``.
    """
    config = config or SceneConfig()
    with VideoReader(
        source.path, source.start, source.duration, deinterlace=source.deinterlace, strict=source.strict
    ) as reader:
        total = _total(reader.info, source)
        scene: _OpenScene | None = None
        for done, (frame, cut) in enumerate(mark_cuts(reader, lambda frame: frame.image, config.cut_threshold), 1):
            if scene is not None and (cut or scene.lasts(frame, reader.info)):
                yield scene.close(reader.info, frame.pts)
                scene = None
            scene = scene or _OpenScene(config, frame.pts)
            scene.add(frame)
            if report is not None:
                report(done, total, frame.image)
        assert scene is not None  # the reader refuses a video without frames
        yield scene.close(reader.info, scene.end)


def _total(info: VideoInfo, source: Source) -> int | None:
    """Frames there will be, if the file says; not those of a part."""
    return info.frames if source.start == 0 and source.duration is None else None


@dataclass
class _Part:
    """Neighbouring frames, of which the sharpest one is kept."""

    score: float
    image: Tensor
    frames: int = 1


@dataclass
class _OpenScene:
    """A scene while it is read: at most ``2 * config.frames`` parts of ``stride`` frames each."""

    config: SceneConfig
    first: int
    end: int = 0
    frames: int = 0
    stride: int = 1
    parts: list[_Part] = field(default_factory=list)

    def lasts(self, frame: Frame, info: VideoInfo) -> bool:
        """Whether the scene is as long as it may be when this frame begins."""
        return self.config.every > 0 and frame.pts - self.first >= to_ticks(self.config.every, info.time_base)

    def add(self, frame: Frame) -> None:
        """Take in the next frame."""
        self.frames += 1
        self.end = frame.pts + frame.duration
        score = sharpness(frame.image)
        if not self.parts or self.parts[-1].frames >= self.stride:
            self.parts.append(_Part(score, _shrunk(frame.image, self.config.side)))
        else:
            last = self.parts[-1]
            last.frames += 1
            if score > last.score:
                last.score, last.image = score, _shrunk(frame.image, self.config.side)
        if len(self.parts) > 2 * self.config.frames:
            self.stride *= 2
            self.parts = [_merged(self.parts[i : i + 2]) for i in range(0, len(self.parts), 2)]

    def close(self, info: VideoInfo, end: int) -> Scene:
        """The scene, which ends where the next one begins."""
        count = min(self.config.frames, len(self.parts))
        edges = [i * len(self.parts) // count for i in range(count + 1)]
        images = tuple(_merged(self.parts[a:b]).image for a, b in itertools.pairwise(edges))
        start, stop = (float(pts * info.time_base - info.start_time) for pts in (self.first, end))
        return Scene(start, stop, self.frames, images)


def _merged(parts: list[_Part]) -> _Part:
    best = max(parts, key=lambda part: part.score)
    return _Part(best.score, best.image, sum(part.frames for part in parts))


def _shrunk(image: Tensor, side: int) -> Tensor:
    """(3,H,W) in [0,1] -> (3,h,w) uint8, no longer than ``side``."""
    height, width = image.shape[-2:]
    longer = max(height, width)
    if longer > side:
        size = (max(round(height * side / longer), 1), max(round(width * side / longer), 1))
        image = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True, align_corners=False)[0]
    return image.clamp(0, 1).mul(255).round().byte().cpu()
