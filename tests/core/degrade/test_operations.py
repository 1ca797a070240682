"""Degradations do what their parameters say, and say what they do."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.degrade.operations import (
    Blur,
    GaussianNoise,
    ImageCompression,
    Operation,
    PoissonNoise,
    Resize,
    SincBlur,
    VideoCompression,
    level,
)
from textovsr.core.errors import EncoderError

GREY = torch.full((4, 3, 96, 96), 0.5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def textured(frames: int = 2, height: int = 48, width: int = 64) -> Tensor:
    coarse = torch.rand(frames, 3, height // 4, width // 4, generator=generator())
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


@given(low=st.floats(-100, 100), width=st.floats(0.1, 100), share=st.floats(0.01, 0.99), falling=st.booleans())
def test_levels_are_three_equal_bins(low: float, width: float, share: float, falling: bool) -> None:
    borders = (low + width, low) if falling else (low, low + width)
    value = borders[0] + share * (borders[1] - borders[0])
    word = ("light", "medium", "heavy")[int(share * 3)]
    near_a_border = min(abs(share - 1 / 3), abs(share - 2 / 3)) < 1e-3
    assert near_a_border or level(value, *borders) == word


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (-5, "light"),
        (0, "light"),
        (0.99, "light"),
        (1, "medium"),
        (1.99, "medium"),
        (2, "heavy"),
        (3, "heavy"),
        (9, "heavy"),
    ],
)
def test_levels_at_and_beyond_their_borders(value: float, word: str) -> None:
    assert level(value, 0, 3) == word
    assert level(3 - value - 1e-9, 3, 0) == word


@settings(deadline=None)
@given(sigma=st.floats(1, 30), grey=st.booleans())
def test_gaussian_noise_has_the_spread_asked_for(sigma: float, grey: bool) -> None:
    noise = (GaussianNoise(sigma, grey).apply(GREY, generator()) - GREY) * 255
    assert float(noise.std()) == pytest.approx(sigma, rel=0.05)
    assert abs(float(noise.mean())) < 0.05 * sigma
    assert torch.equal(noise[:, 0], noise[:, 1]) == grey


@settings(deadline=None)
@given(scale=st.floats(0.05, 3), brightness=st.floats(0.3, 0.7), grey=st.booleans())
def test_poisson_noise_grows_with_the_signal(scale: float, brightness: float, grey: bool) -> None:
    clip = torch.full_like(GREY, brightness)
    noise = PoissonNoise(scale, grey).apply(clip, generator()) - clip
    assert float(noise.var()) == pytest.approx(scale**2 * brightness / 255, rel=0.1)


def test_noise_is_fresh_in_every_frame_and_follows_the_generator() -> None:
    operation = GaussianNoise(20, grey=False)
    first = operation.apply(GREY, generator())
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first, operation.apply(GREY, generator()))
    assert not torch.equal(first, operation.apply(GREY, generator(1)))


@pytest.mark.parametrize("operation", [Blur("aniso", 9, (2.0, 0.7), 0.4), SincBlur(9, 1.5)])
def test_a_blur_leaves_flat_clips_alone(operation: Operation) -> None:
    torch.testing.assert_close(operation.apply(GREY, generator()), GREY, rtol=0, atol=1e-5)


def test_a_blur_takes_out_detail() -> None:
    clip = textured()
    light, heavy = (Blur("iso", 15, (sigma, sigma)).apply(clip, generator()).std() for sigma in (0.5, 3.0))
    assert heavy < light < clip.std()


@settings(deadline=None)
@given(size=st.tuples(st.integers(4, 80), st.integers(4, 80)), mode=st.sampled_from(["area", "bilinear", "bicubic"]))
def test_a_resize_has_the_size_asked_for(size: tuple[int, int], mode: str) -> None:
    out = Resize(size, mode, "").apply(textured(), generator())
    assert out.shape == (2, 3, *size)
    assert 0 <= out.min() <= out.max() <= 1


def test_jpeg_loses_more_at_a_lower_quality() -> None:
    clip = textured()
    losses = [float((ImageCompression(q).apply(clip, generator()) - clip).abs().mean()) for q in (95, 75, 50, 30, 10)]
    assert losses == sorted(losses)
    assert 0 < losses[0] < losses[-1] < 0.2


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    frames=st.integers(1, 5),
    height=st.integers(16, 49),
    width=st.integers(16, 49),
    how=st.sampled_from(
        [("libx264", 30.0, None), ("libx264", None, 0.5), ("mpeg4", None, 0.5), ("mpeg2video", None, 0.5)]
    ),
)
def test_video_compression_gives_every_frame_back(
    frames: int, height: int, width: int, how: tuple[str, float | None, float | None]
) -> None:
    clip = textured(frames, height, width)
    out = VideoCompression(*how).apply(clip, generator())
    assert out.shape == clip.shape
    assert 0 <= out.min() <= out.max() <= 1
    assert float((out - clip).abs().mean()) < 0.25


def test_video_compression_gives_the_same_every_time() -> None:
    """Whatever lies about in memory: x264's macroblock trees read some of it on AVX-512."""
    clips = [textured(5, height, width) for height, width in ((48, 80), (72, 72), (96, 160))]
    runs = []
    for seed in range(6):
        litter = [torch.rand(size, generator=generator(seed)) for size in range(1000, 50_000, 2000)]
        del litter
        runs.append([VideoCompression("libx264", crf=24).apply(clip, generator()) for clip in clips])
    assert all(torch.equal(a, b) for run in runs for a, b in zip(run, runs[0], strict=True))


def test_video_loses_more_at_a_higher_crf() -> None:
    clip = textured(4)
    losses = [
        float((VideoCompression("libx264", crf=crf).apply(clip, generator()) - clip).abs().mean())
        for crf in (5, 25, 45)
    ]
    assert losses == sorted(losses)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(EncoderError, match="got 'libnothing'"):
        VideoCompression("libnothing", crf=20).apply(textured(), generator())


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Blur("iso", 9, (0.3, 0.3)), "light blur"),
        (Blur("aniso", 9, (3.0, 0.2)), "medium blur"),
        (SincBlur(9, 0.8), "heavy blur"),
        (SincBlur(9, 3.1), "light blur"),
        (Resize((8, 8), "area", "downsample"), "downsample"),
        (Resize((8, 8), "area", ""), ""),
        (GaussianNoise(29, grey=False), "heavy noise"),
        (PoissonNoise(0.1, grey=True), "light noise"),
        (ImageCompression(94), "light image compression"),
        (ImageCompression(31), "heavy image compression"),
        (VideoCompression("libx264", crf=28), "medium video compression"),
        (VideoCompression("mpeg4", bits_per_pixel=0.12), "heavy video compression"),
    ],
)
def test_an_operation_says_what_it_does(operation: Operation, words: str) -> None:
    assert operation.describe() == words
