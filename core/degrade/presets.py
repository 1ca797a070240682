"""Footage as people have it: chains of operations whose parameters are random within the ranges of their kind.

Every sampler takes the size of the clip and the size that is asked for, both (height, width), and a generator. Lengths
in pixels are those of standard definition; what is larger is worked on at that size, or has its lengths scaled.
"""

from collections.abc import Callable

import numpy as np

from .chain import sample_light, sample_second_order
from .film import Dust, Flicker, GateWeave, Grading, Grain, Scratches
from .operation import Operation
from .operations import Blur, GaussianNoise, PoissonNoise, Resize, SincBlur, VideoCompression
from .tape import ChromaBleed, Dropouts, Ghost, HeadSwitching, Interlace, LineJitter, LumaLowPass, TapeNoise

Size = tuple[int, int]
Sampler = Callable[[Size, Size, np.random.Generator], list[Operation]]

_SMALLEST = 16
_TAPE_LINES = 480
_SD_WIDTH = 720
_STREAM_PIXELS = 848 * 480
_DV_SIZES = ((576, 720), (480, 720))


def vhs(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    """A worn cassette, digitised: soft, smeared colours beside their edges, noise along lines, a torn bottom."""
    work = _at_most(out, _TAPE_LINES)
    lines = work[0] / _TAPE_LINES
    chain: list[Operation] = [
        *_resize(size, work, "area"),
        _tint(rng, saturation=(0.75, 1.1)),
        LumaLowPass(rng.uniform(0.9, 2.2), rng.uniform(0.3, 1.0)),
        ChromaBleed(rng.uniform(3.0, 7.5), rng.uniform(0.6, 1.6), rng.uniform(1.0, 4.0), rng.uniform(0.0, 1.5)),
    ]
    if rng.random() < 0.6:
        chain.append(Ghost(rng.uniform(5, 16), rng.uniform(0.04, 0.18)))
    chain += [
        TapeNoise(rng.uniform(4, 14), rng.uniform(3, 9), rng.uniform(0.6, 1.2), rng.uniform(6, 13)),
        LineJitter(rng.uniform(0.1, 0.6), rng.uniform(4, 12)),
        Dropouts(rng.uniform(0.0, 4.0) * lines, rng.uniform(15, 60) * lines),
        HeadSwitching(max(rng.uniform(4, 10) * lines, 2.0), rng.uniform(12, 60) * lines, rng.uniform(15, 40)),
        VideoCompression("mpeg2video", quantizer=int(rng.integers(2, 6)), gop=12),
    ]
    return [*chain, *_resize(work, out, "bilinear")]


def dv_tape(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    """A camcorder's digital tape: hard DCT blocks, poor colour resolution, half of the time interlaced."""
    large = min(out) >= _DV_SIZES[1][0] and out[1] > out[0]
    # DV has two sizes only; smaller pictures get the same blocks from an encoder that takes any.
    work = _DV_SIZES[int(rng.integers(2))] if large else out
    tape = (
        VideoCompression("dvvideo")
        if large
        else VideoCompression("mpeg2video", bits_per_pixel=rng.uniform(0.7, 1.6), gop=1)
    )
    chain: list[Operation] = [
        *_resize(size, work, "area"),
        LumaLowPass(rng.uniform(0.4, 0.9), rng.uniform(0.3, 1.0)),
        ChromaBleed(rng.uniform(1.2, 2.4), rng.uniform(0.4, 1.0)),
        GaussianNoise(rng.uniform(1, 8), grey=bool(rng.random() < 0.4)),
    ]
    if rng.random() < 0.5:
        chain.append(Interlace(int(rng.integers(2))))
    return [*chain, tape, *_resize(work, out, "bilinear")]


def old_film(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    """A print that has been through many projectors: grain, dirt, scratches, flicker, weave, colours gone."""
    unit = max(max(out) / _SD_WIDTH, 1.0)
    small = min(max(out) / _SD_WIDTH, 1.0)  # a smaller picture has smaller dirt, but hardly less of it
    sigma = rng.uniform(0.5, 1.6) * unit
    chain: list[Operation] = [
        *_resize(size, out, "area"),
        Blur("iso", _odd(sigma), (sigma, sigma)),
        Grain(rng.uniform(6, 18), rng.uniform(0.5, 1.1) * unit, rng.uniform(0.0, 0.5)),
        _tint(rng, saturation=(0.25, 0.85), gamma=(0.8, 1.15)) if rng.random() < 0.7 else Grading(saturation=0.0),
        Dust(rng.uniform(2, 14) * max(small, 0.4), rng.uniform(2.0, 5.0) * unit * max(small, 0.5)),
        Scratches(int(rng.integers(1, 6)), rng.uniform(0.15, 0.5), rng.uniform(1.0, 1.8) * unit),
        Flicker(rng.uniform(0.03, 0.16)),
        GateWeave(rng.uniform(0.4, 2.0) * unit),
        VideoCompression("libx264", crf=rng.uniform(16, 27)),
    ]
    return chain


def phone_messenger(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    """A clip that was sent on: shrunk, squeezed into a baseline stream, and once more on the next phone."""
    first = _scaled(out, min(rng.uniform(0.45, 0.8), 848 / max(out)))
    second = _scaled(first, rng.uniform(0.7, 1.0))
    chain: list[Operation] = [*_resize(size, first, "bilinear")]
    for index, (before, work) in enumerate(((first, first), (first, second))):
        bits = _bits(work, _log_uniform(rng, 0.03, 0.12) / (1 + index))
        chain += _resize(before, work, "bilinear") if before != work else []
        chain.append(VideoCompression("libx264", bits_per_pixel=bits, profile="baseline", gop=60, buffered=True))
    return [*chain, *_resize(second, out, "bicubic")]


def webcam(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    """A small lens in a dim room: dark, noisy, smoothed by its own processor, sent as Motion JPEG."""
    work = _at_most(out, int(rng.choice((360, 480))))
    soft, smear, patches = rng.uniform(0.5, 1.3), rng.uniform(0.5, 0.9), rng.uniform(1.2, 3.0)
    chain: list[Operation] = [
        *_resize(size, work, "area"),
        Blur("iso", _odd(soft), (soft, soft)),
        _tint(rng, saturation=(0.55, 0.9), gamma=(1.25, 2.2)),
        PoissonNoise(rng.uniform(0.8, 3.0), grey=False),
        GaussianNoise(rng.uniform(4, 18), grey=bool(rng.random() < 0.3)),
        # What its processor does against the noise: less of it, in larger patches, above all of colour.
        Blur("iso", _odd(smear), (smear, smear)),
        ChromaBleed(patches, patches),
        VideoCompression("mjpeg", quantizer=int(rng.integers(3, 13))),
    ]
    if rng.random() < 0.5:
        chain.append(VideoCompression("libx264", crf=rng.uniform(24, 32)))
    return [*chain, *_resize(work, out, "bilinear")]


def low_bitrate_stream(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    """A live stream over a poor line: shrunk, smeared and blocky wherever something moves."""
    work = _scaled(out, rng.uniform(0.4, 0.85))
    chain: list[Operation] = [
        *_resize(size, work, "bicubic"),
        VideoCompression("libx264", bits_per_pixel=_bits(work, _log_uniform(rng, 0.015, 0.06)), gop=125, buffered=True),
        *_resize(work, out, "bilinear"),
    ]
    if rng.random() < 0.4:
        chain.append(SincBlur(13, rng.uniform(np.pi / 2, np.pi)))
    return chain


def _random(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    return sample_second_order(size, rng, size[0] // out[0])


def _light(size: Size, out: Size, rng: np.random.Generator) -> list[Operation]:
    return sample_light(size, rng, size[0] // out[0])


SAMPLERS: dict[str, Sampler] = {
    "random": _random,
    "light": _light,
    "VHS": vhs,
    "DV tape": dv_tape,
    "old film": old_film,
    "phone messenger": phone_messenger,
    "webcam": webcam,
    "low-bitrate stream": low_bitrate_stream,
}
"""How each of ``config.PRESETS`` is made."""


def _tint(
    rng: np.random.Generator, saturation: tuple[float, float], gamma: tuple[float, float] = (1.0, 1.0)
) -> Grading:
    """Colours that have gone to one side, with blacks that are none and whites that are less."""
    red, green, blue = (float(v) for v in rng.uniform(0.82, 1.0, size=3))
    lift = tuple(float(v) for v in rng.uniform(0.0, 0.07, size=3))
    return Grading((red, green, blue), (lift[0], lift[1], lift[2]), rng.uniform(*gamma), rng.uniform(*saturation))


def _resize(before: Size, after: Size, mode: str) -> list[Operation]:
    if before == after:
        return []
    return [Resize(after, mode, "downsample" if after[0] * after[1] < before[0] * before[1] else "upsample")]


def _scaled(size: Size, factor: float) -> Size:
    """Codecs want even sides."""
    height, width = (max(_SMALLEST, round(side * factor / 2) * 2) for side in size)
    return height, width


def _at_most(size: Size, lines: int) -> Size:
    return size if min(size) <= lines else _scaled(size, lines / min(size))


def _odd(sigma: float) -> int:
    return 2 * max(int(np.ceil(3 * sigma)), 1) + 1


def _bits(size: Size, bits_per_pixel: float) -> float:
    """Bits that look alike at another size: a smaller picture has more to say in every pixel."""
    return min(bits_per_pixel * max(_STREAM_PIXELS / (size[0] * size[1]), 1.0) ** 0.5, 1.0)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
