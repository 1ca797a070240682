"""Sizes of MGLD-VSR's networks; the defaults are the published ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UNetConfig:
    """The denoiser.

    Attributes:
        channels: width of the finest level, a multiple of 32.
        multipliers: width of each level over ``channels``, finest first; the coarsest has no attention.
        blocks: residual blocks a level on the way down; there is one more on the way up.
        head_width: channels of an attention head.
        context: width of the text's tokens.
        structure: width of the structure's features.
    """

    channels: int = 320
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    head_width: int = 64
    context: int = 1024
    structure: int = 256


@dataclass(frozen=True)
class StructConfig:
    """The structure encoder; ``outputs`` is the width of its features, the others as in ``UNetConfig``."""

    channels: int = 256
    multipliers: tuple[int, ...] = (1, 1, 2, 2)
    blocks: int = 2
    heads: int = 4
    outputs: int = 256


LATENT_CHANNELS = 4
EMBEDDING = 4
"""The time embedding is this many times as wide as the finest level."""


@dataclass(frozen=True)
class VAEConfig:
    """The autoencoder: ``blocks`` residual blocks a level in the encoder, one more in the decoder.

    ``video``: whether its decoder mixes frames and is led by the encoder's features; Stable Diffusion's own does not.
    """

    channels: int = 128
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    video: bool = True


LATENT_SCALE = 0.18215
"""Latents times this have a deviation of about one: what the denoiser works on."""
