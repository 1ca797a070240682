"""Frames to latents and back through any autoencoder, chunk by chunk, so that memory does not grow with the length.

Latents are (n,C,h,w) here, frames (n,3,H,W). An autoencoder with a temporal ``ratio`` r is causal in its framing: its
first latent is made of one frame, each further one of r frames, so that latent j ends with frame r*j.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .device import free_memory, is_out_of_memory
from .errors import OutOfMemoryError, SettingError
from .tiles import Check

log = logging.getLogger(__name__)


class Codec(Protocol):
    """An autoencoder.

    Attributes:
        ratio: frames a latent; 1 if each frame has a latent of its own.
        encode_context: latents that are made again before those that are wanted, so that these know of them.
        decode_context: latents that are decoded again before, and ahead after, those that are wanted.
    """

    ratio: int
    encode_context: int
    decode_context: tuple[int, int]

    def factor(self) -> int:
        """Pixels a latent pixel when encoding."""

    def encode(self, frames: Tensor) -> Tensor:
        """(ratio*(n-1)+1,3,H,W) in [0,1] -> (n,C,h,w)."""

    def decode(self, latents: Tensor) -> Tensor:
        """(n,C,h,w) -> (ratio*(n-1)+1,3,H,W) in [0,1]."""

    def encode_length(self, height: int, width: int) -> int:
        """Latents that may be made together of frames of this size; may lower the context, too."""

    def decode_length(self, height: int, width: int) -> int:
        """Latents of this size that may be decoded together; may lower the context, too."""

    def shrink(self) -> bool:
        """Take smaller tiles from now on; False if there are none."""


@dataclass(frozen=True)
class SourceSize:
    """What latents were made of, kept beside them.

    Attributes:
        height: pixels down, before padding.
        width: pixels across, before padding.
        frames: how many, before padding.
        padded_height: pixels down that were encoded.
        padded_width: pixels across that were encoded.
    """

    height: int
    width: int
    frames: int
    padded_height: int
    padded_width: int

    @classmethod
    def stored(cls, values: Mapping[str, int] | None, factor: int) -> "SourceSize | None":
        """What is found beside latents, None if nothing; ``factor`` is the VAE's, for where no padding is told."""
        if values is None:
            return None
        padded = padded_size(values["height"], values["width"], factor)
        return cls(**{**dict(zip(("padded_height", "padded_width"), padded, strict=True)), **values})

    def cropped(self, image: Tensor) -> Tensor:
        """The part of a decoded picture (...,H,W) that is not padding, whatever the picture was scaled by."""
        height = round(self.height * image.shape[-2] / self.padded_height)
        width = round(self.width * image.shape[-1] / self.padded_width)
        return image[..., :height, :width]


def padded_size(height: int, width: int, factor: int) -> tuple[int, int]:
    """The next multiples of ``factor``."""
    return -(-height // factor) * factor, -(-width // factor) * factor


def pad_frame(frame: Tensor, factor: int) -> Tensor:
    """Pad (3,H,W) at the right and at the bottom to multiples of ``factor``: mirrored, or where too small, repeated."""
    height, width = frame.shape[-2:]
    down, across = (new - old for new, old in zip(padded_size(height, width, factor), (height, width), strict=True))
    if not down and not across:
        return frame
    mode = "reflect" if down < height and across < width else "replicate"
    return F.pad(frame[None], (0, across, 0, down), mode=mode)[0]


def latent_length(frames: int, ratio: int) -> int:
    """Latents of so many frames; the last ones may be padded in time."""
    return -(-(frames - 1) // ratio) + 1


def frame_length(latents: int, ratio: int) -> int:
    """Frames that so many latents are decoded to."""
    return ratio * (latents - 1) + 1


def true_length(latents: int, ratio: int, size: SourceSize | None) -> int:
    """Frames of so many latents without those that are padding, if these are all latents of what ``size`` tells of."""
    if size is not None and latents == latent_length(size.frames, ratio):
        return size.frames
    return frame_length(latents, ratio)


def encode_frames(frames: Iterable[Tensor], codec: Codec, check: Check) -> Iterator[Tensor]:
    """Encode a stream of frames.

    Args:
        frames: (3,H,W) in [0,1], all of one size.
        codec: the autoencoder.
        check: called before every chunk; raises to cancel.

    Yields:
        (n,C,h,w): all latents in order, n varies. Peak memory: one chunk and its context.

    Raises:
        OutOfMemoryError: not even one latent at a time and the smallest tiles fit.
    """
    chunks: _Chunks | None = None
    for frame in frames:
        padded = pad_frame(frame, codec.factor())
        if chunks is None:
            chunks = _Chunks(codec, codec.encode_length(*padded.shape[-2:]), check)
        chunks.held.append(padded)
        yield from chunks.encode(last=False)
    if chunks is not None:
        yield from chunks.encode(last=True)


class _Chunks:
    """The frames that wait to be encoded; those of the context stay among them.

    The first of them is the last frame of a latent, as the first frame of all is; ``drop`` latents are context.
    """

    def __init__(self, codec: Codec, length: int, check: Check) -> None:
        self.codec, self.check = codec, check
        self.length = max(length, 1)
        self.held: list[Tensor] = []
        self.drop = 0

    def _whole(self) -> int:
        """Frames of a chunk with its context."""
        return frame_length(self.drop + self.length, self.codec.ratio)

    def _known(self) -> int:
        """Frames that are there only as context."""
        return frame_length(self.drop, self.codec.ratio) if self.drop else 0

    def encode(self, *, last: bool) -> Iterator[Tensor]:
        """Encode what is a whole chunk, or if nothing more comes, all."""
        while len(self.held) >= self._whole() or (last and len(self.held) > self._known()):
            piece = self.held[: self._whole()]
            missing = -(len(piece) - 1) % self.codec.ratio
            self.check()
            latents = _attempt(self.codec.encode, torch.stack(piece + piece[-1:] * missing))
            if latents is None:
                self.length = _less(self.length, self.codec)
                continue
            yield latents[self.drop :]
            done = latents.shape[0]
            self.drop = min(max(self.codec.encode_context, int(self.codec.ratio > 1)), done)
            del self.held[: max(len(piece) - self._known(), 0)]


def decode_latents(latents: Tensor, codec: Codec, check: Check) -> Iterator[Tensor]:
    """Decode latents frame by frame.

    Args:
        latents: (n,C,h,w); only what a chunk needs is read.
        codec: the autoencoder.
        check: called before every chunk; raises to cancel.

    Yields:
        (3,H,W) in [0,1], ``frame_length`` of them. Peak memory: one chunk and its context.

    Raises:
        OutOfMemoryError: not even one latent at a time and the smallest tiles fit.
    """
    length = max(codec.decode_length(*latents.shape[-2:]), 1)
    total, ratio = latents.shape[0], codec.ratio
    before, after = max(codec.decode_context[0], int(ratio > 1)), codec.decode_context[1]
    begin = 0
    while begin < total:
        end = min(begin + length, total)
        first, last = max(begin - before, 0), min(end + after, total)
        check()
        frames = _attempt(codec.decode, latents[first:last])
        if frames is None:
            length = _less(length, codec)
            continue
        if frames.shape[0] != frame_length(last - first, ratio):
            raise SettingError(
                f"Expected {frame_length(last - first, ratio)} frames of {last - first} latents, got "
                f"{frames.shape[0]}; this VAE frames a video in a way that is not known here."
            )
        wanted = 0 if begin == 0 else ratio * (begin - 1) + 1
        yield from frames[wanted - ratio * first : ratio * (end - 1) + 1 - ratio * first]
        begin = end


def _attempt(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor | None:
    """The function's value, or None if memory ran out."""
    try:
        return function(x)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        log.debug("Out of memory.", exc_info=True)
    free_memory()  # outside of the handler, which holds on to the memory of what failed
    return None


def _less(length: int, codec: Codec) -> int:
    if length > 1:
        log.warning("Memory ran out; the work goes on with %d latents at a time.", length // 2)
        return length // 2
    if not codec.shrink():
        raise OutOfMemoryError(
            "Expected one frame in the smallest tiles to fit the memory, but it ran out; close other programs, or make "
            "the video smaller."
        )
    log.warning("Memory ran out; the work goes on with smaller tiles.")
    return length
