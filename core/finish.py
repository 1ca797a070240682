"""The size of the result, and what is done to a frame after the network."""

import torch.nn.functional as F
from torch import Tensor

from .color_fix import fix_color
from .config import ResultConfig
from .errors import SettingError
from .restoration import Result


def output_size(width: int, height: int, result: ResultConfig) -> tuple[int, int]:
    """Width and height of the result for a source of this size.

    Raises:
        SettingError: the height asked for is not between 1 and four times the source's.
    """
    if not result.height:
        return width * result.scale, height * result.scale
    largest = 4 * height
    if not 1 <= result.height <= largest:
        raise SettingError(
            f"Expected a height from 1 to {largest} (four times the source's), got {result.height}; choose 0 for x4."
        )
    # Even, as most codecs want it.
    return max(round(width * result.height / height / 2) * 2, 2), result.height


def finish_frame(result: Result, config: ResultConfig, size: tuple[int, int]) -> Tensor:
    """Fix the colours of a restored frame and bring it to its size.

    Args:
        result: the frame.
        config: which colour fix.
        size: width and height wanted.

    Returns:
        (3,height,width), not clamped, where the restored frame is, in its own float type or float32.
    """
    image = fix_color(result.image, result.frame.image, config.color_fix)
    return _resize(image, (size[1], size[0]))


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == size:
        return image
    image = image.float()
    if image.shape[-2] % size[0] == 0 and image.shape[-1] % size[1] == 0:
        return F.interpolate(image[None], size=size, mode="area")[0]
    return F.interpolate(image[None], size=size, mode="bicubic", antialias=True)[0]
