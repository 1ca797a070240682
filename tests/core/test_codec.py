"""Chunks of an autoencoder: every frame once, the context in place, less at a time when memory runs out."""

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.codec import (
    SourceSize,
    decode_latents,
    encode_frames,
    frame_length,
    latent_length,
    pad_frame,
    true_length,
)
from textovsr.core.errors import CancelledError, OutOfMemoryError, SettingError


@dataclass
class Fake:
    """An autoencoder that sees as far back (and when decoding, ahead) as its context, and no further.

    A latent is the sum of its frames plus a tenth of the latents' sums before it; the first of a chunk is made of one
    frame, as its framing wants it.
    """

    ratio: int = 1
    encode_context: int = 0
    decode_context: tuple[int, int] = (0, 0)
    length: int = 4
    tiles: int = 0
    most: int = 10**6
    sizes: list[int] = field(default_factory=list)

    def factor(self) -> int:
        return 2

    def encode(self, frames: Tensor) -> Tensor:
        self._work(len(frames))
        assert (len(frames) - 1) % self.ratio == 0
        sums = torch.stack([part.sum(0) for part in [frames[:1], *frames[1:].split(self.ratio)] if len(part)])
        return _blurred(sums, max(self.encode_context - 1, 0), 0)[..., ::2, ::2]

    def decode(self, latents: Tensor) -> Tensor:
        self._work(len(latents))
        before, after = self.decode_context
        frames = _blurred(latents, max(before - 1, 0) if self.ratio > 1 else before, after)
        return frames.repeat_interleave(self.ratio, 0)[self.ratio - 1 :]

    def _work(self, count: int) -> None:
        if count > self.most:
            raise RuntimeError("CUDA out of memory.")
        self.sizes.append(count)

    def encode_length(self, height: int, width: int) -> int:
        return self.length

    decode_length = encode_length

    def shrink(self) -> bool:
        self.tiles += 1
        self.most *= 2
        return self.tiles < 3


def _blurred(x: Tensor, before: int, after: int) -> Tensor:
    result = x.clone()
    for step in range(1, before + 1):
        result[step:] += 0.1 * x[:-step]
    for step in range(1, after + 1):
        result[:-step] += 0.1 * x[step:]
    return result


def clip(frames: int, size: tuple[int, int] = (4, 6)) -> Tensor:
    return torch.rand(frames, 3, *size, generator=torch.Generator().manual_seed(frames), dtype=torch.float64)


def never() -> None:
    """Nobody cancels."""


def padded(frames: Tensor, ratio: int) -> Tensor:
    missing = -(len(frames) - 1) % ratio
    return torch.cat([frames, frames[-1:].expand(missing, -1, -1, -1)])


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 40),
    ratio=st.integers(1, 5),
    length=st.integers(1, 9),
    context=st.integers(0, 4),
    most=st.integers(21, 60),
)
def test_chunks_encode_as_the_whole_does(count: int, ratio: int, length: int, context: int, most: int) -> None:
    """Exactly, for an encoder that sees no further than the context, whether memory runs out or not."""
    frames = clip(count)
    whole = Fake(ratio, context).encode(padded(frames, ratio))
    codec = Fake(ratio, context, length=length, most=most)
    found = torch.cat(list(encode_frames(frames, codec, never)))
    assert len(found) == latent_length(count, ratio)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 30),
    ratio=st.integers(1, 5),
    length=st.integers(1, 9),
    context=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    most=st.integers(7, 30),
)
def test_chunks_decode_as_the_whole_does(
    count: int, ratio: int, length: int, context: tuple[int, int], most: int
) -> None:
    latents = clip(count)
    whole = Fake(ratio, decode_context=context).decode(latents)
    codec = Fake(ratio, decode_context=context, length=length, most=most)
    found = torch.stack(list(decode_latents(latents, codec, never)))
    assert len(found) == frame_length(count, ratio)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)


def test_without_context_the_borders_show() -> None:
    """What the two tests above would find if the context were left out."""
    latents = clip(12)
    whole = Fake(1, decode_context=(2, 2)).decode(latents)

    class Blind(Fake):
        def decode(self, latents: Tensor) -> Tensor:
            return _blurred(latents, 2, 2)

    found = torch.stack(list(decode_latents(latents, Blind(length=4), never)))
    assert not torch.allclose(found, whole)


def test_no_chunk_is_longer_than_asked() -> None:
    codec = Fake(4, encode_context=2, decode_context=(2, 1), length=3)
    list(encode_frames(clip(60), codec, never))
    assert max(codec.sizes) == frame_length(2 + 3, 4)
    codec.sizes.clear()
    list(decode_latents(clip(20), codec, never))
    assert max(codec.sizes) == 2 + 3 + 1


def test_memory_that_runs_out_means_fewer_at_a_time_then_tiles() -> None:
    codec = Fake(length=16, most=3)
    found = torch.cat(list(encode_frames(clip(40), codec, never)))
    assert len(found) == 40
    assert max(codec.sizes) == 2
    assert codec.tiles == 0
    tiny = Fake(length=16, most=1, decode_context=(1, 0))
    assert len(list(decode_latents(clip(5), tiny, never))) == 5
    assert tiny.tiles == 1


@pytest.mark.parametrize("way", [encode_frames, decode_latents])
def test_memory_that_is_not_there_is_said(way: "type[encode_frames]") -> None:
    with pytest.raises(OutOfMemoryError, match="smallest tiles"):
        list(way(clip(5), Fake(most=0), never))


@pytest.mark.parametrize("way", [encode_frames, decode_latents])
def test_another_error_is_not_taken_for_a_lack_of_memory(way: "type[encode_frames]") -> None:
    class Broken(Fake):
        def _work(self, count: int) -> None:
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        list(way(clip(5), Broken(), never))


@pytest.mark.parametrize("way", [encode_frames, decode_latents])
def test_a_cancel_is_heard_between_chunks(way: "type[encode_frames]") -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise CancelledError("enough")

    codec = Fake(length=2)
    with pytest.raises(CancelledError):
        list(way(clip(20), codec, check))
    assert len(codec.sizes) == 2


def test_an_unknown_framing_is_refused() -> None:
    class Odd(Fake):
        def decode(self, latents: Tensor) -> Tensor:
            return latents[:1]

    with pytest.raises(SettingError, match="not known here"):
        list(decode_latents(clip(5), Odd(), never))


@pytest.mark.parametrize(("size", "factor"), [((5, 7), 4), ((8, 8), 8), ((1, 9), 8), ((13, 30), 16)])
def test_odd_sizes_are_padded_by_what_is_there_and_cropped_again(size: tuple[int, int], factor: int) -> None:
    frame = clip(1, size)[0]
    found = pad_frame(frame, factor)
    assert all(side % factor == 0 for side in found.shape[-2:])
    assert torch.equal(found[:, : size[0], : size[1]], frame)
    assert set(found.flatten().tolist()) <= set(frame.flatten().tolist())
    kept = SourceSize(*size, 1, *found.shape[-2:])
    assert torch.equal(kept.cropped(found), frame)
    larger = found.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.equal(kept.cropped(larger), frame.repeat_interleave(4, 1).repeat_interleave(4, 2))


def test_the_length_in_time_is_the_source_s_unless_the_latents_are_a_part() -> None:
    size = SourceSize(8, 8, 18, 8, 8)
    assert true_length(6, 4, size) == 18  # padded to 21
    assert true_length(5, 4, size) == 17
    assert true_length(18, 1, size) == 18
    assert true_length(7, 4, None) == 25


def test_what_lies_beside_latents_may_tell_no_padding() -> None:
    told = {"height": 30, "width": 33, "frames": 5}
    assert SourceSize.stored(told, 8) == SourceSize(30, 33, 5, 32, 40)
    assert SourceSize.stored({**told, "padded_height": 48, "padded_width": 48}, 8) == SourceSize(30, 33, 5, 48, 48)
    assert SourceSize.stored(None, 8) is None
