"""Sizes of STAR's CogVideoX networks; the defaults are the published ones. Imports nothing heavy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

LATENT_CHANNELS = 16
LATENT_SCALE = 0.7
"""The transformer's latents over the autoencoder's."""

HEAD = 64
"""Width of an attention head."""

PATCH = 2
"""Side of the square of latent pixels that is one token."""

_DIGITS = 10  # of a layer's number

TEXT_TOKENS = 226
"""Tokens of every text, as trained."""


@dataclass(frozen=True)
class TransformerConfig:
    """The transformer.

    Attributes:
        layers: joint blocks.
        heads: of every attention, ``HEAD`` wide each.
        text: width of the text's tokens.
        embedding: width of the time embedding.
    """

    layers: int = 42
    heads: int = 48
    text: int = 4096
    embedding: int = 512


def read_config(state_dict: Mapping[str, Tensor]) -> TransformerConfig:
    """The sizes that these weights have, in diffusers' names.

    Raises:
        KeyError: a key is missing.
    """
    width, text = state_dict["patch_embed.text_proj.weight"].shape
    return TransformerConfig(
        layers=count(state_dict, r"transformer_blocks\.(\d+)\."),
        heads=width // HEAD,
        text=text,
        embedding=state_dict["time_embedding.linear_2.weight"].shape[0],
    )


def count(state_dict: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number that stands in the keys where the pattern has its group.

    Raises:
        ValueError: there are fewer tensors.
    """
    numbers = {found[1] for found in map(re.compile(pattern).match, state_dict) if found}
    found = 1 + max((int(number) for number in numbers if len(number) < _DIGITS), default=-1)
    if found > len(state_dict) or any(len(number) >= _DIGITS for number in numbers):
        raise ValueError("names count more layers than there are tensors")
    return found
