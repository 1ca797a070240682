"""What the clients of the load test send: videos of many sizes, lengths and kinds, no two of them alike."""

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from textovsr.tests.helpers.clips import Clip, write_clip

LONG = 200
"""Frames that take a server seconds; a segment of so small a picture, and some."""


@dataclass(frozen=True)
class Film:
    """A video; its seed decides its pictures.

    Attributes:
        name: of the file.
        size: width and height in pixels.
        frames: how many.
        jumps: whether times are irregular.
        sound: whether there is one.
        codec: FFmpeg's encoder.
        seed: of the pictures.
        damage: bytes from the beginning to keep, as a share of the file; 1 is whole, 0 is no video at all.
    """

    name: str
    size: tuple[int, int] = (32, 24)
    frames: int = 6
    jumps: bool = False
    sound: bool = False
    codec: str = "libx264"
    seed: int = 0
    damage: float = 1.0

    def write(self, folder: Path) -> Path:
        """Make the file."""
        rng = np.random.default_rng(self.seed)
        steps = rng.integers(20, 90, self.frames) if self.jumps else np.full(self.frames, 40)
        times = tuple(int(tick) for tick in np.cumsum(steps) - steps[0])
        scene = np.kron(rng.integers(0, 255, (24, 48, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        clip = Clip(
            codec=self.codec,
            width=self.size[0],
            height=self.size[1],
            pts=times,
            time_base=Fraction(1, 1000),
            draw=partial(_pan, scene),
            audio="aac" if self.sound else None,
        )
        path = write_clip(folder / self.name, clip)
        if self.damage < 1:
            path.write_bytes(path.read_bytes()[: int(path.stat().st_size * self.damage)] or b"no video")
        return path


def _pan(scene: np.ndarray, number: int, clip: Clip) -> av.VideoFrame:
    left, top = number % (scene.shape[1] - clip.width), number // 7 % (scene.shape[0] - clip.height)
    picture = np.ascontiguousarray(scene[top : top + clip.height, left : left + clip.width])
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=clip.pix_fmt)


FILMS = {
    film.name: film
    for film in (
        Film("least.mp4", (16, 16), 1, seed=1),
        Film("odd.mkv", (35, 17), 5, codec="ffv1", seed=2),
        Film("sound.mp4", (48, 32), 12, sound=True, seed=3),
        Film("jumps.mkv", (40, 24), 21, jumps=True, sound=True, seed=4),
        Film("one.mkv", (64, 48), 1, sound=True, seed=5),
        Film("large.mp4", (128, 96), 9, seed=6),
        Film("forty.mp4", (32, 24), 40, sound=True, seed=7),
        Film("vp9.webm", (64, 36), 7, codec="libvpx-vp9", jumps=True, seed=8),
        Film("twin.mp4", (32, 24), 8, seed=9),
        Film("long.mkv", (16, 16), LONG, seed=10),
        Film("longer.mkv", (32, 24), LONG + 1, seed=11),
        Film("none.mp4", seed=12, damage=0),
        Film("torn.mkv", (32, 24), 30, seed=13, damage=0.6),
    )
}
