"""Decoding the sound of a short video, for hosts that want it as a tensor."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer
from torch import Tensor

from .probe import probe
from .source import demux_safely, open_source

_SEEK_MARGIN = 2
"""Seconds: a decoder of sound is silent, or rough, at first."""


@dataclass(frozen=True)
class Audio:
    """Sound: ``waveform`` (channels,samples) float32 in [-1,1], ``sample_rate`` samples a second."""

    waveform: Tensor
    sample_rate: int


def read_audio(path: Path, start: float = 0.0, duration: float | None = None) -> Audio | None:
    """Decode the first audio stream that can be decoded, or the part of it that goes with a part of the picture.

    Args:
        path: a video file.
        start: seconds after the first frame of the picture.
        duration: seconds; None is to the end.

    Returns:
        None if the file has no such sound. Peak memory: the part, twice.
    """
    origin = probe(path).start_time + Fraction(start)
    with open_source(path) as container:
        stream = next((s for s in container.streams.audio if s.codec_context is not None and s.rate), None)
        if stream is None:
            return None
        resampler = av.AudioResampler(format="fltp", rate=stream.rate)
        pieces: list[np.ndarray] = []
        first: Fraction | None = None
        if start > _SEEK_MARGIN:
            container.seek(int((origin - _SEEK_MARGIN) * av.time_base))
        needed: float | Fraction = math.inf
        for frame in _frames(container, stream):
            for piece in resampler.resample(frame):
                if first is None:
                    first = (piece.pts or 0) * (piece.time_base or Fraction(1, stream.rate))
                    needed = math.inf if duration is None else (origin - first + Fraction(duration)) * stream.rate
                pieces.append(piece.to_ndarray())
                needed -= piece.samples
            if needed < 0:
                break
        if first is None:
            return None
        waveform = torch.from_numpy(np.concatenate(pieces, axis=1))
        skip = round((origin - first) * stream.rate)
        waveform = waveform[:, skip:] if skip > 0 else torch.nn.functional.pad(waveform, (-skip, 0))
        end = waveform.shape[1] if duration is None else round(duration * stream.rate)
        return Audio(waveform[:, :end].contiguous(), stream.rate)


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    """What can be decoded; damaged pieces are left out."""
    for packet in demux_safely(container, [stream]):
        with suppress(av.error.FFmpegError):
            yield from stream.decode(packet) if packet else ()
