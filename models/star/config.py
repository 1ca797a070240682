"""Sizes of STAR's network; the defaults are the published ones."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ...core.errors import ShapeError

LATENT_CHANNELS = 4
GROUPS = 32
"""Channels are normalised in this many groups."""

_EMBEDDING = 4
_MOST_HEAD = 64


@dataclass(frozen=True)
class StarNetConfig:
    """Denoiser and control network, which share them.

    Attributes:
        channels: width of the finest level, a multiple of 32.
        multipliers: width of each level over ``channels``, finest first; the coarsest has no attention.
        blocks: residual blocks a level on the way down; there is one more on the way up.
        head_width: channels of an attention head.
        first_heads: heads of the attention along time right after the first convolution, which has its own width.
        context: width of the text's tokens.
    """

    channels: int = 320
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    head_width: int = 64
    first_heads: int = 8
    context: int = 1024

    @property
    def embedding(self) -> int:
        """Width of the time embedding."""
        return _EMBEDDING * self.channels

    @property
    def granularity(self) -> int:
        """A frame's width has to be a multiple of this, its height two more than a multiple."""
        return 2 ** (len(self.multipliers) - 1)

    def check_size(self, height: int, width: int) -> None:
        """Whether frames of latents can be halved and doubled back.

        Raises:
            ShapeError: they cannot, or not to the same size.
        """
        step = self.granularity
        if height % step != 2 % step or width % step or min(height, width) < 1:
            raise ShapeError(
                f"Expected latents whose width is a multiple of {step} and whose height is two more than one, got "
                f"{height}x{width}; pad the frames."
            )

    @classmethod
    def from_state(cls, state_dict: Mapping[str, Tensor]) -> "StarNetConfig":
        """The sizes that these weights have.

        Raises:
            KeyError: a tensor that tells a size is missing.
            ValueError: there is no residual block.
        """
        channels = state_dict["input_blocks.0.0.weight"].shape[0]
        levels = _levels(state_dict)
        head_width = min(_MOST_HEAD, channels // 2)  # no tensor tells it
        return cls(
            channels=channels,
            multipliers=tuple(level[0] // channels for level in levels),
            blocks=len(levels[0]),
            head_width=head_width,
            first_heads=math.ceil(state_dict["input_blocks.0.1.proj_in.weight"].shape[0] / head_width),
            context=state_dict["middle_block.1.transformer_blocks.0.attn2.to_k.weight"].shape[1],
        )


def _levels(state_dict: Mapping[str, Tensor]) -> list[list[int]]:
    """The widths of the residual blocks of each level on the way down."""
    levels: list[list[int]] = [[]]
    number = 1
    while True:
        key = f"input_blocks.{number}."
        if key + "op.weight" in state_dict:
            levels.append([])
        elif key + "0.out_layers.3.weight" in state_dict:
            levels[-1].append(state_dict[key + "0.out_layers.3.weight"].shape[0])
        else:
            break
        number += 1
    if not all(levels):
        raise ValueError("a level without residual blocks")
    return levels
