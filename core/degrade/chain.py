"""The random second-order degradation chain (RealBasicVSR, Chan et al., CVPR 2022), with a known description."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .draws import mix
from .drift import Drifting
from .operation import Operation, draw_seed
from .operations import (
    Blur,
    GaussianNoise,
    ImageCompression,
    PoissonNoise,
    Resize,
    SincBlur,
    VideoCompression,
)

SCALE = 4
_PIECE_FRAMES, _PIECE_PIXELS = 8, 2_000_000
_KINDS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc")
_KIND_WEIGHTS = (0.405, 0.225, 0.108, 0.027, 0.108, 0.027, 0.1)
_MODES = ("area", "bilinear", "bicubic")
_CODECS = ("libx264", "mpeg4", "mpeg2video")


def apply_chain(clip: Tensor, chain: Sequence[Operation], generator: torch.Generator, drift: float = 0.0) -> Tensor:
    """Apply operations in order to a clip (T,C,H,W) in [0,1]; ``generator`` (CPU) gives the seed of all noise."""
    return torch.cat(list(_through(iter([clip]), chain, draw_seed(generator), drift)))


def run_chain(
    frames: Iterable[Tensor], chain: Sequence[Operation], seed: int, drift: float = 0.0, piece: int = 0
) -> Iterator[Tensor]:
    """Apply operations in order to a clip of any length, frame by frame.

    Peak memory: some pieces of about two megapixels, and what the encoders in the chain hold back.

    Args:
        frames: (C,H,W) RGB in [0,1], all of one size.
        chain: the operations.
        seed: of all noise; frame t gets the same whatever ``piece`` is.
        drift: octaves by which strengths wander, see ``Drifting``; 0 keeps them constant.
        piece: frames that are worked on at once; 0 chooses by their size.

    Yields:
        (C,H',W') in [0,1], as many as came.
    """
    for clip in _through(_pieces(frames, piece), chain, seed, drift):
        yield from clip.clamp(0, 1)


def _through(pieces: Iterator[Tensor], chain: Sequence[Operation], seed: int, drift: float) -> Iterator[Tensor]:
    for index, operation in enumerate(chain):
        running = Drifting(operation, drift) if drift > 0 and operation.DRIFTS else operation
        pieces = running.run(pieces, mix(seed, index))
    return pieces


def _pieces(frames: Iterable[Tensor], length: int) -> Iterator[Tensor]:
    waiting: list[Tensor] = []
    for image in frames:
        most = length or min(max(_PIECE_PIXELS // (image.shape[-2] * image.shape[-1]), 1), _PIECE_FRAMES)
        waiting.append(image)
        if len(waiting) >= most:
            yield torch.stack(waiting)
            waiting.clear()
    if waiting:
        yield torch.stack(waiting)


def describe_chain(chain: Sequence[Operation]) -> str:
    """The degradation text: every operation's words, in the order applied."""
    return ", ".join(words for words in (operation.describe() for operation in chain) if words)


def sample_clean(size: tuple[int, int], scale: int = SCALE) -> list[Operation]:
    """Nothing but the shrinking by ``scale``, of a clip of ``size`` (height, width)."""
    return [_shrink(size, "bicubic", scale)]


def sample_light(size: tuple[int, int], rng: np.random.Generator, scale: int = SCALE) -> list[Operation]:
    """A modern phone or web clip: blur, shrink by ``scale``, sensor noise, mild JPEG, H.264."""
    blur = Blur("aniso", 21, (rng.uniform(0.4, 2.4), rng.uniform(0.4, 2.4)), rng.uniform(-np.pi, np.pi))
    return [
        blur,
        _shrink(size, "bicubic", scale),
        GaussianNoise(rng.uniform(1, 12), grey=bool(rng.random() < 0.4)),
        ImageCompression(rng.uniform(50, 95)),
        VideoCompression("libx264", crf=rng.uniform(20, 35)),
    ]


def sample_second_order(size: tuple[int, int], rng: np.random.Generator, scale: int = SCALE) -> list[Operation]:
    """The two-stage chain of ``specs`` of TextOVSR section 4, for a clip of ``size`` (height, width)."""
    first = _resize(size, size, rng, (0.15, 1.5), (0.2, 0.7, 0.1))
    chain: list[Operation] = [_blur(rng, 3.0), first, _noise(rng, 30.0, 3.0), _jpeg(rng), _video(rng)]
    if rng.random() < 0.8:
        chain.append(_blur(rng, 1.5))
    chain += [_resize(size, first.size, rng, (0.3, 1.2), (0.3, 0.4, 0.3)), _noise(rng, 25.0, 2.5), _jpeg(rng)]
    shrink: list[Operation] = [_shrink(size, str(rng.choice(_MODES)), scale)]
    if rng.random() < 0.8:
        shrink.append(SincBlur(_odd(rng), rng.uniform(np.pi / 3, np.pi)))
    video = [_video(rng)]
    return [*chain, *shrink, *video] if rng.random() < 0.5 else [*chain, *video, *shrink]


def _shrink(size: tuple[int, int], mode: str, scale: int) -> Resize:
    return Resize((size[0] // scale, size[1] // scale), mode, "downsample" if scale > 1 else "")


def _blur(rng: np.random.Generator, largest: float) -> Operation:
    kind = str(rng.choice(_KINDS, p=_KIND_WEIGHTS))
    if kind == "sinc":
        return SincBlur(_odd(rng), rng.uniform(np.pi / 3, np.pi))
    beta = rng.uniform(0.5, 4.0) if kind.startswith("generalized") else rng.uniform(1.0, 2.0)
    sigma = (rng.uniform(0.2, largest), rng.uniform(0.2, largest))
    if kind.endswith("iso") and not kind.endswith("aniso"):
        sigma = (sigma[0], sigma[0])
    return Blur(kind, _odd(rng), sigma, rng.uniform(-np.pi, np.pi), beta)


def _odd(rng: np.random.Generator) -> int:
    return int(rng.integers(3, 11)) * 2 + 1


def _resize(
    full: tuple[int, int],
    current: tuple[int, int],
    rng: np.random.Generator,
    factors: tuple[float, float],
    odds: tuple[float, float, float],
) -> Resize:
    """A resize relative to the ``full`` size; ``odds`` of up, down, keep."""
    direction = str(rng.choice(("upsample", "downsample", ""), p=odds))
    mode = str(rng.choice(_MODES))
    if not direction:
        return Resize(current, mode, "")
    factor = rng.uniform(1.0, factors[1]) if direction == "upsample" else rng.uniform(factors[0], 1.0)
    # Codecs want even sides.
    height, width = (max(16, round(side * factor / 2) * 2) for side in full)
    return Resize((height, width), mode, direction)


def _noise(rng: np.random.Generator, gaussian: float, poisson: float) -> Operation:
    grey = bool(rng.random() < 0.4)
    if rng.random() < 0.5:
        return GaussianNoise(rng.uniform(1.0, gaussian), grey)
    return PoissonNoise(rng.uniform(0.05, poisson), grey)


def _jpeg(rng: np.random.Generator) -> ImageCompression:
    return ImageCompression(rng.uniform(30, 95))


def _video(rng: np.random.Generator) -> VideoCompression:
    codec = str(rng.choice(_CODECS, p=(0.6, 0.2, 0.2)))
    if codec == "libx264" and rng.random() < 0.5:
        return VideoCompression(codec, crf=rng.uniform(18, 38))
    return VideoCompression(codec, bits_per_pixel=float(np.exp(rng.uniform(np.log(0.1), np.log(1.0)))))
