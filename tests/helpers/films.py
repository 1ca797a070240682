"""Tiny films with noise for sound, so that no packet of sound is like another."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer

from textovsr.core.video.source import silence_ffmpeg

RATE = 48_000
Packets = list[tuple[Fraction, bytes]]


@dataclass(frozen=True)
class Sound:
    """Noise, so that no packet is like another."""

    codec: str = "aac"
    start: float = 0.0
    seconds: float = 2.0
    labels: dict[str, str] = field(default_factory=dict)
    disposition: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Film:
    """A tiny film: ``extra`` adds streams and returns packets for them."""

    seconds: float = 2.0
    start: float = 0.0
    fps: int = 25
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "g": "250"})
    sounds: tuple[Sound, ...] = (Sound(),)
    extra: Callable[[OutputContainer], list[Any]] = lambda _: []


def make_film(path: Path, film: Film) -> Path:
    silence_ffmpeg()
    with av.open(str(path), "w") as output:
        video = output.add_stream(film.codec, rate=film.fps, options=film.options)
        video.width, video.height, video.pix_fmt = 32, 16, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, film.fps)
        tracks = [add_sound(output, sound) for sound in film.sounds]
        extras = film.extra(output)
        packets = list(pictures(video, film))
        for track, sound in zip(tracks, film.sounds, strict=True):
            packets += noise(track, sound)
        for packet in sorted(packets + extras, key=lambda p: (p.pts if p.dts is None else p.dts) * p.time_base):
            output.mux(packet)
    return path


def pictures(video: av.VideoStream, film: Film) -> list[Any]:
    packets: list[Any] = []
    for index in range(round(film.seconds * film.fps)):
        frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), index % 250, np.uint8), format="rgb24")
        frame.pts, frame.time_base = index + round(film.start * film.fps), Fraction(1, film.fps)
        packets += video.encode(frame)
    return packets + video.encode(None)


def add_sound(output: OutputContainer, sound: Sound) -> av.AudioStream:
    stream = output.add_stream(sound.codec, rate=RATE, layout="mono")
    stream.metadata.update(sound.labels)
    stream.disposition = sound.disposition
    return stream


def noise(stream: av.AudioStream, sound: Sound) -> list[Any]:
    samples = np.random.default_rng(sound.seed).integers(-4000, 4000, (1, round(RATE * sound.seconds)), np.int16)
    packets: list[Any] = []
    for at in range(0, samples.shape[1], 48_000):
        frame = av.AudioFrame.from_ndarray(samples[:, at : at + 48_000], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = at + round(sound.start * RATE)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def packets_of(path: Path, index: int) -> Packets:
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]
