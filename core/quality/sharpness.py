"""Sharpness of a picture, without a reference: how much fine detail, or noise, there is."""

import torch.nn.functional as F
from torch import Tensor

from ..errors import ShapeError
from .fidelity import luma


def sharpness(frame: Tensor) -> float:
    """Standard deviation of the Laplacian of the luma, in levels of 255 (Pech-Pacheco et al., ICPR 2000).

    It compares pictures of one scene and one size. Noise and hard block edges count as detail too.

    Args:
        frame: (3,H,W) RGB in [0,1], at least 3x3.

    Returns:
        0 for a flat frame, about 1 for a very soft one and 10 and more for a crisp one.

    Raises:
        ShapeError: the frame is too small.
    """
    if min(frame.shape[-2:]) < 3:
        raise ShapeError(f"Expected a frame of 3x3 pixels or more, got {tuple(frame.shape[-2:])}.")
    y = luma(frame.float()) * 255
    kernel = y.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return float(F.conv2d(y[None, None], kernel[None, None]).std(correction=0))
