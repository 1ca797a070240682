"""Labelled material for ``cuts.py``: film, cut lists made of real shots, and what could be taken for a cut."""

import io
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from common import VALIDATE
from PIL import Image

from textovsr.core.video.source import silence_ffmpeg

Clip = np.ndarray
"""(T,H,W,3) uint8."""
Labelled = tuple[Clip, np.ndarray]
"""A clip, and for each frame whether a shot begins at it."""

WIDTH, HEIGHT = 256, 144
CLIPS = VALIDATE.parent.parent.parent / "clips"
OWN = ((CLIPS / "phone.mp4", VALIDATE / "bikes_hr.mkv"), (CLIPS / "webcam.avi", VALIDATE / "vtest_hr.mkv"))
EXCERPT = ((900, 2900), (9300, 11300))
"""Frames of the film that shots are taken from, by half."""
_NUMBERS = """
285 378 553 1145 1346 1456 1531 1666 1711 1763 1813 1919 2154 2194 2394 2494 2704 2831 2901 2963 3045 3513 3578
3744 3860 3895 3919 3989 4032 4069 4227 4266 4332 4463 4544 4612 4672 4697 4726 4796 4900 4942 4979 5013 5079 5131
5292 5307 5371 5430 5518 5579 5809 5844 6018 6048 6088 6128 6168 6208 6228 6268 6308 6348 6388 6488 6623 6670 6713
6753 6833 7013 7093 7131 7325 7400 7500 7546 7613 7661 7732 7769 8024 8085 8154 8945 9009 9080 9148 9379 9420 9468
9507 9575 9584 9593 9719 9795 9850 9891 9987 10016 10081 10097 10125 10184 10234 10260 10303 10339 10409 10453
10468 10574 10613 10637 10842 10999 11312 11349 11524 11560 11612 11671 13942 14314
"""
FILM_CUTS = tuple(int(number) for number in _NUMBERS.split())
"""Where the hard cuts of Big Buck Bunny are (24 frames a second); fades, the iris and zooms are none."""
FILM_FRAMES = 14315


def decode(path: Path, first: int = 0, end: int | None = None) -> Iterator[Clip]:
    """The frames of a file from ``first`` to ``end``, small."""
    silence_ffmpeg()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for index, frame in enumerate(container.decode(video=0)):
            if end is not None and index >= end:
                return
            if index >= first:
                yield frame.reformat(WIDTH, HEIGHT, "rgb24", interpolation="AREA").to_ndarray()


def resize(clip: Clip, width: int, height: int) -> Clip:
    """Each frame, bilinearly."""
    return np.stack([np.asarray(Image.fromarray(f).resize((width, height), Image.Resampling.BILINEAR)) for f in clip])


class Footage:
    """Shots of one half of the material."""

    def __init__(self, folder: Path, half: int) -> None:
        first, end = EXCERPT[half]
        film = np.stack(list(decode(folder / "bbb.mp4", first, end)))
        edges = [first, *(cut for cut in FILM_CUTS if first < cut < end), end]
        self.film = film, np.isin(np.arange(first, end), FILM_CUTS)
        self.clips = [film[a - first : b - first] for a, b in pairwise(edges)]
        self.own = [np.stack(list(decode(path))) for path in OWN[half]]
        self.photos = sorted(folder.glob("*.png"))[half::2]

    def shot(self, rng: np.random.Generator, length: int) -> Clip:
        """Up to ``length`` frames of one shot: film, camera, or a photograph under a moving camera."""
        kind = rng.random()
        if kind > 0.5:
            return self.moving(rng, length, rng.uniform(-3, 3), rng.uniform(0.99, 1.01), float(rng.choice([0, 1, 4])))
        clips = self.clips if kind < 0.35 else self.own
        clip = clips[rng.integers(len(clips))]
        start = rng.integers(max(1, len(clip) - length + 1))
        return clip[start : start + length].copy()

    def moving(self, rng: np.random.Generator, length: int, pan: float, zoom: float, shake: float) -> Clip:
        """A photograph seen by a camera that pans (pixels a frame), zooms (factor a frame) and shakes (pixels)."""
        photo = Image.open(self.photos[rng.integers(len(self.photos))]).convert("RGB")
        photo = photo.resize((1024, round(1024 * photo.height / photo.width)), Image.Resampling.BILINEAR)
        most = min(1.0, photo.height / HEIGHT * WIDTH / 1024) * 1000
        width, x = most * (0.95 if zoom < 1 and abs(pan) < 0.1 else 0.3), 400.0
        frames = []
        for _ in range(length):
            height = width * HEIGHT / WIDTH
            if not 0 < x < 1024 - width:
                pan = -pan
            x += pan * width / WIDTH
            jolt = rng.normal(0, shake, 2) * width / WIDTH
            left = np.clip(x + jolt[0], 0, 1024 - width)
            top = np.clip((photo.height - height) / 2 + jolt[1], 0, photo.height - height)
            box = (left, top, left + width, top + height)
            frames.append(np.asarray(photo.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)))
            width = float(np.clip(width * zoom, 90, most))
        return np.stack(frames)

    def edited(self, rng: np.random.Generator, shots: int, shortest: int, longest: int) -> Labelled:
        """A cut list; frames on both sides of a cut differ by 14 of 255 on average, or nobody could tell."""
        clips: list[Clip] = []
        while len(clips) < shots:
            clip = self.shot(rng, int(rng.integers(shortest, longest + 1)))
            if not clips or np.abs(clips[-1][-1].astype(float) - clip[0]).mean() > 14:
                clips.append(clip)
        marks = np.concatenate([np.arange(len(clip)) == 0 for clip in clips])
        marks[0] = False
        return np.concatenate(clips), marks


def clamp(clip: np.ndarray) -> Clip:
    """Back to uint8."""
    return np.clip(clip, 0, 255).astype(np.uint8)


def noisy(clip: Clip, rng: np.random.Generator, sigma: float) -> Clip:
    """With Gaussian noise."""
    return clamp(clip + rng.normal(0, sigma, clip.shape))


def compressed(clip: Clip, crf: int) -> Clip:
    """Through x264 and back."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
        for frame in clip:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        output.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def old_film(clip: Clip, rng: np.random.Generator) -> Clip:
    """Grey, flat, grainy, flickering and unsteady, with scratches and, on one frame in sixteen, blotches."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for grey in 90 + (clip.mean(3) - 128) * 0.35:
        frame = np.roll(grey, rng.integers(-2, 3, 2), (0, 1)) * rng.normal(1, 0.08) + rng.normal(0, 12, grey.shape)
        for column in rng.integers(0, WIDTH, rng.integers(0, 3)):
            frame[:, column : column + 2] += 70
        for _ in range(6 if rng.random() < 1 / 16 else 0):
            frame[(y - rng.integers(HEIGHT)) ** 2 + (x - rng.integers(WIDTH)) ** 2 < rng.integers(20, 700)] = 20
        frames.append(frame)
    return clamp(np.stack(frames)[..., None].repeat(3, 3))


def repeated(labelled: Labelled, rng: np.random.Generator) -> Labelled:
    """Every frame once to three times, as in variable frame rates made constant."""
    clip, marks = labelled
    index = np.repeat(np.arange(len(clip)), rng.integers(1, 4, len(clip)))
    return clip[index], marks[index] & (np.diff(index, prepend=-1) > 0)


Rng = np.random.Generator
VARIATIONS: dict[str, Callable[[Clip, Rng], Clip]] = {
    "clean": lambda clip, rng: clip,
    "noise, sigma 10": lambda clip, rng: noisy(clip, rng, 10),
    "noise, sigma 25": lambda clip, rng: noisy(clip, rng, 25),
    "80x60, noise, sigma 25": lambda clip, rng: noisy(resize(clip, 80, 60), rng, 25),
    "80x60": lambda clip, rng: resize(clip, 80, 60),
    "x264, CRF 35": lambda clip, rng: compressed(clip, 35),
    "x264, CRF 45": lambda clip, rng: compressed(clip, 45),
    "flicker, 18%": lambda clip, rng: clamp(clip * rng.normal(1, 0.18, (len(clip), 1, 1, 1))),
    "dark, noise, sigma 2.5": lambda clip, rng: noisy(clamp(clip * 0.12 + 3), rng, 2.5),
    "old film": old_film,
    "blurred": lambda clip, rng: resize(resize(clip, 24, 14), WIDTH, HEIGHT),
}


def disturbed(kind: str, footage: Footage, rng: Rng) -> Clip:
    """One shot with something in it that is no cut."""
    if kind in CAMERA:
        return footage.moving(rng, 40, *CAMERA[kind](rng))
    clip = footage.shot(rng, 40)
    while len(clip) < 24:
        clip = footage.shot(rng, 40)
    middle, rest = len(clip) // 2, slice(len(clip) // 2, None)
    some = slice(middle, middle + int(rng.integers(1, 4)))
    if kind == "flash, 1-3 frames":
        clip[some] = clamp(clip[some] * 0.25 + rng.uniform(120, 190))
    elif kind == "lightning":
        for at in (middle, middle + 1, middle + 4):
            clip[at] = clamp(clip[at] * np.linspace(1.5, 3.5, WIDTH)[None, :, None] + 30)
    elif kind == "black, 1-3 frames":
        clip[some] = rng.integers(0, 12)
    elif kind == "subtitle and logo":
        clip[rest, 97:131, 30:190] //= 2
        clip[rest, 104:120:2, 40:180:3] = 255
        clip[rest, 10:40, 200:240] = (200, 30, 30)
    elif kind == "dissolve, 8-16 frames":
        other = footage.moving(rng, len(clip), 1.0, 1.0, 0.0)
        share = np.clip((np.arange(len(clip)) - middle + 6) / rng.integers(8, 17), 0, 1)[:, None, None, None]
        clip = clamp(clip * (1 - share) + other * share)
    elif kind == "fade out and in":
        clip = clamp(clip * np.abs(np.linspace(-1, 1, len(clip)))[:, None, None, None])
    elif kind == "light switched":
        clip[rest] = clamp(clip[rest] * 0.45)
    elif kind == "frozen, 5 frames":
        clip[middle : middle + 5] = clip[middle]
    elif kind == "wall over 85%, 3-7 frames":
        wall, steps = clamp(rng.normal(rng.integers(40, 215, 3), 30, (HEIGHT, WIDTH, 3))), int(rng.integers(3, 8))
        for step in range(len(clip) - middle):
            edge = int(WIDTH * 0.85 * min(1, (step + 1) / steps))
            clip[middle + step, :, :edge] = wall[:, WIDTH - edge :]
    return clip


CAMERA: dict[str, Callable[[Rng], tuple[float, float, float]]] = {
    "pan, 8-40 px of 256": lambda rng: (rng.uniform(8, 40), 1.0, 0.0),
    "zoom, 6% a frame": lambda rng: (0.0, 0.94, 0.0),
    "shake, 8 px of 256": lambda rng: (0.0, 1.0, 8.0),
}
HARMLESS = (
    *CAMERA,
    "flash, 1-3 frames",
    "lightning",
    "black, 1-3 frames",
    "subtitle and logo",
    "dissolve, 8-16 frames",
    "fade out and in",
    "light switched",
    "frozen, 5 frames",
    "wall over 85%, 3-7 frames",
)


def material(folder: Path, half: int) -> Iterator[tuple[str, Labelled]]:
    """Everything of one half, by name."""
    footage, rng = Footage(folder, half), np.random.default_rng(half + 1)
    yield "film excerpt", footage.film
    for name, change in VARIATIONS.items():
        clip, marks = footage.edited(rng, 30, 4, 25)
        yield name, (change(clip, rng), marks)
    yield "frames repeated 1-3 times", repeated(footage.edited(rng, 30, 4, 25), rng)
    yield "shots of 1-4 frames", footage.edited(rng, 60, 1, 4)
    for name in HARMLESS:
        for _ in range(4):
            clip = disturbed(name, footage, rng)
            yield name, (clip, np.zeros(len(clip), bool))
