"""The denoiser with the structure encoder that leads it, as one network."""

import torch
from torch import Tensor, nn

from .config import StructConfig, UNetConfig
from .struct_encoder import StructEncoder
from .unet import UNet


class Denoiser(nn.Module):
    """Predicts the noise in the latents of a clip, led by those of its low resolution."""

    def __init__(self, unet: UNetConfig | None = None, structure: StructConfig | None = None) -> None:
        super().__init__()
        self.unet = UNet(unet)
        self.structure = StructEncoder(structure)

    def forward(self, x: Tensor, z: Tensor, timestep: int, context: Tensor) -> Tensor:
        """Predict the noise in ``x``.

        Args:
            x: (T,4,h,w), noisy scaled latents of one clip.
            z: (T,4,h,w), scaled latents of its enlarged low-resolution frames.
            timestep: 0 to 999.
            context: (T,K,D), the text's tokens.

        Returns:
            (T,4,h,w).

        Raises:
            ShapeError: a side is no multiple of 8.
        """
        steps = torch.full((x.shape[0],), timestep, device=x.device)
        return self.unet(x, steps, context, self.structure(z, steps), x.shape[0])
