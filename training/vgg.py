"""The perceptual loss: how unlike two pictures are to VGG19 (Simonyan and Zisserman, 2015)."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import UnknownCheckpointError
from ..models.registry import read_state_dict

LAYERS = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}
"""Where features are compared, before the ReLU, and what each place weighs; numbers as torchvision counts them."""

_POOLED = (4, 9, 18, 27)  # max pooling; every other number is a convolution or the ReLU after it
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):
    """Weighted L1 between the features of two clips; nothing in it learns.

    Args:
        state_dict: torchvision's VGG19, keys ``features.N.weight`` and ``.bias``; the classifier is left out.

    Raises:
        UnknownCheckpointError: a convolution is missing.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, state_dict: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        try:
            for number in _convolutions(max(LAYERS)):
                weight, bias = (state_dict[f"features.{number}.{part}"].float() for part in ("weight", "bias"))
                conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                conv.load_state_dict({"weight": weight, "bias": bias})
                self.features[str(number)] = conv
        except (LookupError, RuntimeError) as error:
            raise UnknownCheckpointError(
                f"Expected torchvision's VGG19 (vgg19-dcbb9e9d.pth), got weights that do not fit: {error}; "
                "choose another file for vgg."
            ) from error
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean L1 over the places of ``LAYERS``, weighted: (B,T,3,H,W) in [0,1], twice; nothing is learned by ``y``."""
        made = self._look(x.flatten(0, 1))
        with torch.no_grad():
            true = self._look(y.flatten(0, 1))
        terms = [weight * (made[at] - true[at]).abs().mean() for at, weight in LAYERS.items()]
        return torch.stack(terms).sum()

    def _look(self, x: Tensor) -> dict[int, Tensor]:
        x, found = (x - self.mean) / self.std, {}
        for number in range(max(LAYERS) + 1):
            if str(number) in self.features:
                x = self.features[str(number)](x)
                if number in LAYERS:
                    found[number] = x
            else:
                x = F.max_pool2d(x, 2) if number in _POOLED else F.relu(x)
        return found


def load_perceptual(path: Path) -> PerceptualLoss:
    """The loss with the weights of a file (.pth or .safetensors).

    Raises:
        WeightsError: the file is not there, damaged, or not VGG19.
    """
    return PerceptualLoss(read_state_dict(path))


def _convolutions(last: int) -> list[int]:
    """Blocks of 2, 2, 4, 4 and 4 convolutions, a ReLU after each, and a pooling after each block."""
    layout = "".join("cr" * n + "p" for n in (2, 2, 4, 4, 4))
    return [match.start() for match in re.finditer("c", layout) if match.start() <= last]
