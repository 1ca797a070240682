"""A whole video, or a batch of frames, to latents and what is to be known of it afterwards."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from torch import Tensor

from .codec import Codec, SourceSize, encode_frames, latent_length, padded_size
from .config import QUEUE
from .errors import EmptyVideoError, SettingError
from .from_frames import open_source
from .job import Progress, Report, Source
from .latents import LatentStore
from .stages import working_ahead
from .tiles import Check


def encode_video(
    source: Source, codec: Codec, store: LatentStore, report: Report, check: Check
) -> tuple[Tensor, SourceSize]:
    """Encode a video file; peak memory is one chunk of frames and what ``store`` holds.

    Args:
        source: what to read.
        codec: the autoencoder.
        store: where the latents go.
        report: called after every chunk.
        check: called before every chunk; raises to cancel.

    Returns:
        (n,C,h,w), and what they were made of.

    Raises:
        VideoError: the source cannot be read.
        DiskFullError: the latents find no room.
        OutOfMemoryError: not even one frame in the smallest tiles fits.
    """
    with open_source(source) as reader:
        images = (frame.image for frame in reader)
        with working_ahead(images, QUEUE, "textovsr-decode") as frames:
            return encode_stream(
                frames, reader.info.frames_in(source.start, source.duration), (codec, store), report, check
            )


def encode_stream(
    frames: Iterable[Tensor], total: int | None, tools: tuple[Codec, LatentStore], report: Report, check: Check
) -> tuple[Tensor, SourceSize]:
    """Encode frames (3,H,W) of one size as ``encode_video`` does; ``total`` is their number if it is known.

    Raises:
        EmptyVideoError: there is no frame.
        SettingError: their sizes differ.
    """
    codec, store = tools
    counted = _Counted(frames)
    began = time.monotonic()
    store.expected = None if total is None else latent_length(total, codec.ratio)
    for latents in encode_frames(counted, codec, check):
        store.append(latents)
        report(Progress(counted.count, total, time.monotonic() - began, counted.newest))
    if not counted.count:
        raise EmptyVideoError("Expected at least one frame, got none; choose another video.")
    height, width = counted.size
    return store.finish(), SourceSize(height, width, counted.count, *padded_size(height, width, codec.factor()))


@dataclass
class _Counted:
    """Frames that go by, counted, and the newest of them."""

    frames: Iterable[Tensor]
    count: int = 0
    newest: Tensor = field(init=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.newest.shape[-2], self.newest.shape[-1]

    def __iter__(self) -> Iterator[Tensor]:
        for frame in self.frames:
            if self.count and frame.shape != self.newest.shape:
                raise SettingError(f"Expected frames of {tuple(self.newest.shape)}, got {tuple(frame.shape)}.")
            self.newest = frame
            self.count += 1
            yield frame
