"""Clips that come in pieces: nothing depends on where they are cut, and little has to wait."""

import io
from collections.abc import Iterator
from itertools import pairwise

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.degrade.chain import apply_chain, run_chain
from textovsr.core.degrade.draws import Draws, mix
from textovsr.core.degrade.drift import PERIOD, Drifting
from textovsr.core.degrade.film import Dust, Flicker, GateWeave, Grading, Grain, Scratches
from textovsr.core.degrade.operation import Operation
from textovsr.core.degrade.operations import (
    Blur,
    GaussianNoise,
    ImageCompression,
    PoissonNoise,
    Resize,
    SincBlur,
    VideoCompression,
)
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
from textovsr.core.errors import EncoderError, SettingError
from textovsr.core.video import recompress as recompress_module
from textovsr.core.video.recompress import Compression, recompress, recompress_stream
from textovsr.tests.helpers.threads import one_thread as one_thread

EVERY = [
    Blur("aniso", 9, (2.0, 0.7), 0.4),
    SincBlur(9, 1.5),
    Resize((20, 30), "bicubic", "downsample"),
    GaussianNoise(12, grey=False),
    PoissonNoise(1.5, grey=True),
    ImageCompression(50),
    VideoCompression("libx264", crf=25),
    LumaLowPass(1.2, 0.5),
    ChromaBleed(3.0, 1.0, 2.0, 0.5),
    TapeNoise(8, 6),
    LineJitter(0.5),
    HeadSwitching(6, 20),
    Dropouts(4, 10),
    Ghost(5, 0.2),
    Interlace(),
    Grain(10, 0.7),
    Dust(6, 3),
    Scratches(3, 0.3),
    Flicker(0.1),
    GateWeave(1.5),
    Grading((1.0, 0.9, 0.8), (0.0, 0.05, 0.0), 1.3, 0.5),
]


def textured(frames: int = 9, height: int = 40, width: int = 48) -> Tensor:
    """Coarse noise that moves to the right."""
    coarse = torch.rand(1, 3, height // 4, width // 2, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(coarse, size=(height, 2 * width), mode="bicubic").clamp(0, 1)[0]
    return torch.stack([wide[..., width - 2 * t : 2 * width - 2 * t] for t in range(frames)])


@pytest.mark.parametrize("drift", [0.0, 0.8])
@pytest.mark.parametrize("operation", EVERY, ids=lambda operation: type(operation).__name__)
def test_nothing_depends_on_where_a_clip_is_cut(operation: Operation, drift: float) -> None:
    clip = textured()
    whole, pieces, single = (
        torch.stack(list(run_chain(clip, [operation], 7, drift, piece=piece))) for piece in (100, 4, 1)
    )
    assert whole.shape[0] == len(clip)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=2e-6)
    torch.testing.assert_close(single, whole, rtol=0, atol=2e-6)


@pytest.mark.parametrize("operation", EVERY, ids=lambda operation: type(operation).__name__)
def test_an_operation_changes_a_clip_as_its_seed_says(operation: Operation) -> None:
    clip = textured(4)
    runs = [apply_chain(clip, [operation], torch.Generator().manual_seed(seed)) for seed in (1, 1)]
    assert torch.equal(*runs)
    assert runs[0].isfinite().all()
    assert 0 <= runs[0].min() <= runs[0].max() <= 1
    assert runs[0].shape != clip.shape or not torch.equal(runs[0], clip)


def test_two_operations_of_a_kind_draw_apart() -> None:
    clip = torch.full((1, 3, 64, 64), 0.5)
    noise = GaussianNoise(10, grey=False)
    once = apply_chain(clip, [noise], torch.Generator().manual_seed(0)) - 0.5
    twice = apply_chain(clip, [noise, noise], torch.Generator().manual_seed(0)) - 0.5
    assert float((twice * 255).std()) == pytest.approx(10 * 2**0.5, rel=0.05)
    assert float((twice - once).flatten() @ once.flatten()) < 0.1 * float(once.square().sum())


@given(seed=st.integers(0, 2**63 - 1), number=st.integers(0, 2**32))
def test_mixed_seeds_fit_and_differ(seed: int, number: int) -> None:
    assert 0 <= mix(seed, number) < 2**63
    assert len({mix(seed, number + step) % 2**32 for step in range(50)}) == 50


@given(seed=st.integers(0, 2**62), first=st.integers(0, 10_000), period=st.floats(2, 100))
def test_a_curve_is_smooth_and_bounded(seed: int, first: int, period: float) -> None:
    values = [Draws(seed, first).smooth(index, period) for index in range(40)]
    assert max(map(abs, values)) <= 1
    assert max(abs(a - b) for a, b in pairwise(values)) <= 3.0 / period + 1e-9
    assert values[7] == Draws(seed, first + 7).smooth(0, period)


@settings(deadline=None)
@given(amount=st.floats(0.05, 1.0), seed=st.integers(0, 2**62))
def test_a_drift_stays_within_its_octaves(amount: float, seed: int) -> None:
    drifting = Drifting(GaussianNoise(8.0, grey=False), amount)
    sigmas = [drifting.at(Draws(seed, frame)).sigma for frame in range(0, 600, 5)]  # type: ignore[attr-defined]
    assert 8 * 2**-amount <= min(sigmas) < max(sigmas) <= 8 * 2**amount
    assert max(sigmas) / min(sigmas) > 2 ** (0.5 * amount)
    assert drifting.describe() == "light noise"


def test_a_drift_is_measured_in_the_noise() -> None:
    clip = torch.full((4, 3, 128, 128), 0.5)
    drifting = Drifting(GaussianNoise(8.0, grey=False), 1.0)
    spans = []
    for start in (0, int(PERIOD), int(3 * PERIOD)):
        at = Draws(5, start)
        spread = float((drifting.degrade(clip, at) - 0.5)[0].std() * 255)
        assert spread == pytest.approx(drifting.at(at).sigma, rel=0.05)  # type: ignore[attr-defined]
        spans.append(spread)
    assert max(spans) > 1.1 * min(spans)


def test_limits_hold_a_drift_but_not_what_was_asked_for() -> None:
    assert ImageCompression(95).drifted(2.0) == ImageCompression(98)
    assert GaussianNoise(100, grey=True).drifted(1.5) == GaussianNoise(100, grey=True)
    assert Blur("iso", 9, (1.0, 2.0)).drifted(0.5) == Blur("iso", 9, (0.5, 1.0))
    assert Resize((8, 8), "area", "").drifted(2.0) == Resize((8, 8), "area", "")


CODECS = [
    Compression("libx264", crf=25),
    Compression("libx264", bits_per_pixel=0.3, profile="baseline", gop=5, buffered=True),
    Compression("mpeg4", bits_per_pixel=0.5),
    Compression("mpeg2video", quantizer=5, gop=1),
    Compression("mjpeg", quantizer=6),
]


@pytest.mark.parametrize("how", CODECS, ids=lambda how: f"{how.codec}{how.profile}")
def test_a_stream_comes_back_in_order_and_soon(how: Compression) -> None:
    taken = 0

    def frames() -> Iterator[Tensor]:
        nonlocal taken
        for taken in range(1, 91):
            image = torch.full((3, 33, 47), 0.2)
            image[..., : taken // 2] = 0.8
            yield image

    waiting, count = [], 0
    for count, image in enumerate(recompress_stream(frames(), how), 1):
        waiting.append(taken - count)
        assert image.shape == (3, 33, 47)
        edge = float((image.mean(dim=(0, 1)) > 0.5).sum())
        assert abs(edge - count // 2) <= 2
    assert count == 90
    assert max(waiting) <= 40


def test_dv_takes_its_two_sizes_and_no_other() -> None:
    for size in ((576, 720), (480, 720)):
        clip = torch.full((2, 3, *size), 0.5)
        clip[:, 0, :, 360:] = 1.0
        assert float((recompress(clip, "dvvideo", crf=None) - clip).abs().mean()) < 0.02
    with pytest.raises(EncoderError, match="Expected dvvideo to take 64x48"):
        recompress(torch.zeros(1, 3, 48, 64), "dvvideo")


def test_one_way_of_pressing_at_a_time() -> None:
    with pytest.raises(SettingError, match="one of crf, bits_per_pixel and quantizer"):
        Compression("libx264", crf=20, bits_per_pixel=0.5)


def test_no_frames_are_no_frames() -> None:
    assert list(recompress_stream([], Compression("libx264", crf=20))) == []


def test_a_coder_that_loses_frames_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompress_module._Coder, "finish", lambda self: iter(()))
    with pytest.raises(EncoderError, match="Expected 5 frames back from libx264, got"):
        recompress(textured(5), "libx264", crf=25)


@pytest.mark.parametrize("crf", [18.0, 28.0, 38.0])
def test_a_crf_is_the_encoders_own(crf: float) -> None:
    """The same frames through a file, made by PyAV alone."""
    clip = textured(12)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        options = {"preset": "veryfast", "x264-params": "mbtree=0", "crf": f"{crf:.2f}"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt, stream.thread_count = 40, 48, "yuv420p", 1
        for image in (clip * 255).round().byte().permute(0, 2, 3, 1).numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        expected = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    ours = (recompress(clip, "libx264", crf=crf) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.array_equal(ours, expected)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
@pytest.mark.parametrize("bits", [0.3, 1.0])
def test_a_bit_rate_is_kept(codec: str, bits: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 30% over four seconds of noise, on which any rate can be spent, and which the lowest can hold."""
    size = 0
    decode = recompress_module._Coder._decode

    def counted(self: object, packet: "av.Packet | None") -> Iterator[Tensor]:
        nonlocal size
        size += packet.size if packet is not None else 0
        return decode(self, packet)  # type: ignore[arg-type]

    monkeypatch.setattr(recompress_module._Coder, "_decode", counted)
    clip = (0.5 + 0.06 * torch.randn(100, 3, 64, 64, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    recompress(clip, codec, bits_per_pixel=bits)
    assert size * 8 / (100 * 64 * 64) == pytest.approx(bits, rel=0.3)


def test_a_coarser_quantiser_loses_more() -> None:
    clip = textured(3)
    losses = [
        float((VideoCompression("mjpeg", quantizer=q).apply(clip, torch.Generator()) - clip).abs().mean())
        for q in (2, 8, 31)
    ]
    assert losses == sorted(losses)
    assert losses[2] > 1.5 * losses[0]
