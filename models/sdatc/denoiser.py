"""SDATC's denoiser: Stable Diffusion 2.1's UNet, frozen, led by a control branch and by prompts of its own."""

import torch
from torch import Tensor, nn

from ...core.errors import ShapeError
from .capm import Capm
from .config import SdatcNetConfig
from .control import ControlBranch
from .walk import Unet, down, embed_time, enlarge, finish, frugally, plainly, up


class SdatcDenoiser(nn.Module):
    """Predicts the noise in latents. A new one predicts what the UNet does.

    Args:
        unet: predicts noise; its weights stay as they are, see ``trained``.
        config: sizes of what is added.
    """

    def __init__(self, unet: Unet, config: SdatcNetConfig) -> None:
        super().__init__()
        self.config = config
        self.frugal = False
        """Whether training computes again what the gradient needs, instead of keeping it."""
        self.unet: Unet = unet.requires_grad_(False)
        self.control = ControlBranch(unet, config.control).requires_grad_(True)
        levels = [block.resnets[-1].out_channels for block in unet.up_blocks]
        self.capm = nn.ModuleList(Capm(channels, config.unet_capm) for channels in levels)

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: value for name, value in self.named_parameters() if not name.startswith("unet.")}

    def forward(self, z: Tensor, timestep: Tensor | int, text: Tensor, condition: Tensor) -> Tensor:
        """Predict the noise in ``z``; frames are independent of each other.

        Args:
            z: (N,4,h,w), noisy scaled latents.
            timestep: 0 to 999, one for all or (N,).
            text: (N,K,D), what the UNet reads of the prompt.
            condition: (N,4,h,w), scaled latents of what the DCM made.

        Returns:
            (N,4,h,w).

        Raises:
            ShapeError: a side cannot be halved as often as the UNet does, or the condition is of another size.
        """
        unet, run = self.unet, frugally if self.frugal else plainly
        factor = 2 ** (len(unet.down_blocks) - 1)
        if z.shape != condition.shape or z.shape[-2] % factor or z.shape[-1] % factor:
            raise ShapeError(
                f"Expected latents and condition of one size, whose sides are multiples of {factor}, got "
                f"{tuple(z.shape)} and {tuple(condition.shape)}; pad the frames."
            )
        steps = torch.as_tensor(timestep, device=z.device).expand(z.shape[0])
        time = embed_time(unet, steps, z)
        to_middle, to_skips = self.control(z, condition, steps, text, run)
        middle, skips = down(unet, z, time, text, run)
        x = middle + to_middle
        skips = [skip + more for skip, more in zip(skips, to_skips, strict=True)]
        del to_skips  # as large as the skips
        for block, capm in zip(unet.up_blocks, self.capm, strict=True):
            count = len(block.resnets)
            x = run(up, block, x, skips[-count:], time, text)
            skips = skips[:-count]
            x = enlarge(block, run(capm, x))
        return finish(unet, x)
