"""Tape: noise as asked for and along lines, colour beside its edge, a torn bottom, combs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.degrade.draws import Draws
from textovsr.core.degrade.operation import Operation
from textovsr.core.degrade.operations import VideoCompression
from textovsr.core.degrade.signal import correlated, gaussian, shift, smooth, to_rgb, to_ycc
from textovsr.core.degrade.tape import (
    ChromaBleed,
    Dropouts,
    Ghost,
    HeadSwitching,
    Interlace,
    LineJitter,
    LumaLowPass,
    TapeNoise,
)
from textovsr.tests.helpers.threads import one_thread as one_thread

GREY = torch.full((4, 3, 96, 128), 0.5)
DRAWS = Draws(3)


def edge(frames: int = 1, at: int = 64) -> Tensor:
    """Black to the left of column ``at``, red to its right."""
    clip = torch.zeros(frames, 3, 96, 128)
    clip[:, 0, :, at:] = 0.8
    return clip


def neighbours(noise: Tensor, axis: int) -> float:
    """The correlation of neighbouring samples along an axis."""
    a, b = noise.narrow(axis, 0, noise.shape[axis] - 1), noise.narrow(axis, 1, noise.shape[axis] - 1)
    return float((a * b).mean() / noise.square().mean())


def test_luma_and_chroma_are_undone() -> None:
    clip = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(to_rgb(to_ycc(clip)), clip, rtol=0, atol=1e-6)
    torch.testing.assert_close(to_ycc(GREY)[:, 1:], torch.zeros(4, 2, 96, 128), rtol=0, atol=1e-6)


@given(sigma=st.floats(0.3, 20))
def test_a_filter_averages(sigma: float) -> None:
    kernel = gaussian(sigma)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    assert kernel.min() >= 0
    torch.testing.assert_close(smooth(GREY[:1], sigma, sigma), GREY[:1], rtol=0, atol=1e-5)


@settings(deadline=None)
@given(dx=st.integers(-9, 9), dy=st.integers(-9, 9))
def test_a_shift_moves_right_and_down(dx: int, dy: int) -> None:
    clip = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    moved = shift(clip, float(dx), float(dy))[..., 10:-10, 10:-10]
    expected = torch.roll(clip, (dy, dx), (-2, -1))[..., 10:-10, 10:-10]
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(across=st.floats(0, 8), down=st.floats(0, 3))
def test_correlated_noise_keeps_its_variance(across: float, down: float) -> None:
    white = torch.randn(4, 1, 128, 256, generator=torch.Generator().manual_seed(1))
    assert float(correlated(white, across, down).var()) == pytest.approx(1, rel=0.2)


@settings(deadline=None, max_examples=25)
@given(luma=st.floats(2, 20), chroma=st.floats(2, 15))
def test_tape_noise_has_the_spreads_asked_for_and_lies_along_lines(luma: float, chroma: float) -> None:
    noise = to_ycc(TapeNoise(luma, chroma).degrade(GREY, DRAWS)) - to_ycc(GREY)
    assert float(noise[:, 0].std() * 255) == pytest.approx(luma, rel=0.1)
    assert float(noise[:, 1:].std() * 255) == pytest.approx(chroma, rel=0.2)
    assert neighbours(noise[:, 0], 2) > 0.5 > 0.1 > abs(neighbours(noise[:, 0], 1))
    assert neighbours(noise[:, 1], 2) > 0.95


def test_colour_smears_and_lies_beside_its_edge() -> None:
    clip = edge()
    before, after = to_ycc(clip), to_ycc(ChromaBleed(3.0, 0.5, right=6.0).degrade(clip, DRAWS))
    ramp = after[0, 2, 48] / before[0, 2, 48, -1]
    middle = int((ramp > 0.5).nonzero()[0])
    assert middle - 64 in (5, 6, 7)
    assert int(((ramp > 0.1) & (ramp < 0.9)).sum()) >= 6
    grey = torch.rand(1, 1, 96, 128, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    torch.testing.assert_close(ChromaBleed(4.0, 1.0, 3.0).degrade(grey, DRAWS), grey, rtol=0, atol=1e-5)


def test_luma_softens_with_a_halo_and_colour_stays() -> None:
    clip = 0.3 + 0.5 * (torch.arange(128) >= 64).float().expand(1, 3, 96, 128)
    soft, crisp = (LumaLowPass(1.5, peaking).degrade(clip, DRAWS)[0, 0, 48] for peaking in (0.0, 0.8))
    assert int(((soft > 0.35) & (soft < 0.75)).sum()) >= 3
    assert 0.299 < soft.min() <= soft.max() < 0.801
    assert crisp.max() > 0.82
    assert crisp.min() < 0.28
    torch.testing.assert_close(LumaLowPass(2.0, 0.5).degrade(GREY, DRAWS), GREY, rtol=0, atol=1e-5)


def test_only_the_bottom_is_torn_and_never_twice_alike() -> None:
    clip = edge(3)
    torn = HeadSwitching(8, 20).degrade(clip, DRAWS)
    torch.testing.assert_close(torn[..., :86, :], clip[..., :86, :], rtol=0, atol=1e-4)
    assert float((torn - clip)[..., -5:, :].abs().mean()) > 0.05
    assert not torch.equal(torn[0, :, -5:], torn[1, :, -5:])


@settings(deadline=None, max_examples=10)
@given(amount=st.floats(0.2, 1.0))
def test_lines_start_early_or_late_by_what_is_asked(amount: float) -> None:
    ramp = (torch.arange(128) / 128).expand(8, 3, 96, 128)
    moves = (ramp - LineJitter(amount, 2.0).degrade(ramp, DRAWS))[:, 0, :, 64] * 128
    assert float(moves.std()) == pytest.approx(amount, rel=0.2)
    assert float((moves[:, 1:] - moves[:, :-1]).std()) < 0.7 * amount


def test_dropouts_are_as_many_as_asked_and_end_to_the_right() -> None:
    clip = torch.zeros(60, 3, 64, 128)
    hit = (Dropouts(3, 12).degrade(clip, DRAWS).amax(1) > 0).any(-1)
    assert float(hit.sum(1).float().mean()) == pytest.approx(3, rel=0.25)


@given(delay=st.integers(2, 20), strength=st.floats(0.02, 0.4))
def test_a_ghost_is_an_echo(delay: int, strength: float) -> None:
    clip = torch.zeros(1, 3, 8, 64)
    clip[..., 20] = 1.0
    out = Ghost(delay, strength).degrade(clip, DRAWS)[0, 0, 4]
    assert float(out[20]) == pytest.approx(1 - strength, abs=1e-3)
    assert float(out[20 + delay]) == pytest.approx(strength, abs=1e-3)


@pytest.mark.parametrize("late", [0, 1])
def test_a_comb_is_two_frames(late: int) -> None:
    clip = torch.stack([torch.full((3, 8, 8), t / 8) for t in range(6)])
    woven = torch.cat(list(Interlace(late).run(iter([clip[:2], clip[2:5], clip[5:]]), 0)))
    assert torch.equal(woven[:, :, late::2], clip[:, :, late::2])
    assert torch.equal(woven[1:, :, 1 - late :: 2], clip[:-1, :, 1 - late :: 2])
    assert torch.equal(woven[0], clip[0])


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (LumaLowPass(0.5), "light blur"),
        (LumaLowPass(1.5), "medium blur"),
        (ChromaBleed(7.0, 1.0), "heavy color bleeding"),
        (TapeNoise(12, 3), "medium noise"),
        (LineJitter(0.9), "heavy line jitter"),
        (HeadSwitching(5, 10), "medium head switching noise"),
        (Dropouts(1, 10), "light dropouts"),
        (Ghost(5, 0.25), "heavy ghosting"),
        (Interlace(), "interlacing"),
        (VideoCompression("mjpeg", quantizer=20), "medium image compression"),
        (VideoCompression("dvvideo"), "light video compression"),
    ],
)
def test_an_operation_says_what_it_does(operation: Operation, words: str) -> None:
    assert operation.describe() == words
