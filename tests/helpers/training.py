"""What the tests of training share: films, and runs so small that they take a second."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from textovsr.core.config import EncodeConfig
from textovsr.core.video.color import BT709, ColorTags
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.writer import VideoWriter
from textovsr.tests.helpers.networks import TINY
from textovsr.training.config import (
    ClipConfig,
    DiscriminatorConfig,
    MaterialConfig,
    OptimizerConfig,
    Stage2Config,
    TrainConfig,
    ValidationConfig,
)

Config = TypeVar("Config", bound=TrainConfig)

SMALL = ClipConfig(frames=2, size=64, film=0.0, clean=0.3, light=0.7)
"""Clips of 16x16 LR pixels, which no codec takes at the lowest rates of the second-order chain."""


def write_film(path: Path, frames: int = 60, cut: int = 30) -> None:
    """A picture of 160x160 that moves, at 24 frames a second, and another one from ``cut`` on."""
    tags = ColorTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False)
    spec = VideoSpec(160, 160, Fraction(1, 24), Fraction(24), Fraction(1), tags)
    noise = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    wide = noise.repeat_interleave(8, 2).repeat_interleave(8, 3)
    with VideoWriter(path, spec, EncodeConfig(crf=1)) as writer:
        for index in range(frames):
            writer.write(wide[int(index >= cut), :, :, index : index + 160], index, 1)


def configure(kind: type[Config], folder: Path, output: Path, **changes: Any) -> Config:
    """A run of four steps with a tiny network that has a negative branch."""
    config = kind(
        data=folder,
        output=output,
        network=replace(TINY, negative=True),
        clips=SMALL,
        material=MaterialConfig(film_clips=0, held_out=0),
        optimizer=OptimizerConfig(rate=5e-3, flow_rate=1e-4, flow_frozen=1, warmup=1),
        validation=ValidationConfig(every=0),
        steps=4,
        batch=1,
        save_every=2,
        workers=0,
        device="cpu",
    )
    if isinstance(config, Stage2Config):
        config = replace(config, discriminator=DiscriminatorConfig(channels=4))
    return replace(config, **changes)


CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
"""Where torchvision's VGG19 has them."""


def small_vgg() -> dict[str, Tensor]:
    """VGG19 of four channels, with random weights."""
    generator, state, inputs = torch.Generator().manual_seed(0), {}, 3
    for number in CONVOLUTIONS:
        state[f"features.{number}.weight"] = 0.3 * torch.randn(4, inputs, 3, 3, generator=generator)
        state[f"features.{number}.bias"] = 0.1 * torch.randn(4, generator=generator)
        inputs = 4
    return {**state, "classifier.0.weight": torch.zeros(1)}
