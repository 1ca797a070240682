"""TED: the text-enhanced discriminator of TextOVSR's second training stage.

A U-Net with spectral norm says of every pixel how real it looks, knowing the text. Key names are those of the published
checkpoint (``discriminator.*``).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from ..core.errors import ShapeError

_SLOPE = 0.2
_MULTIPLE = 8  # three halvings that the way up must meet again


class TED(nn.Module):
    """The discriminator; 4.91M parameters at the published size (``specs`` of TextOVSR, section 4).

    Args:
        text_width: width of the pooled text, 768 for CLIP ViT-L/14.
        channels: channels at the full resolution.
        text_hidden: width between the two layers of the text projection.
    """

    def __init__(self, text_width: int = 768, channels: int = 64, text_hidden: int = 512) -> None:
        super().__init__()
        c = channels
        self.conv_0 = nn.Conv2d(3, c, 3, padding=1)
        self.conv_1 = _down(c, 2 * c)
        self.conv_2 = _down(2 * c, 4 * c)
        self.conv_3 = _down(4 * c, 8 * c)
        self.conv_4 = _same(8 * c, 4 * c)
        self.conv_5 = _same(4 * c, 2 * c)
        self.conv_6 = _same(2 * c, c)
        self.conv_7 = _same(c, c)
        self.conv_8 = _same(c, c)
        self.text_mlp = nn.Sequential(
            nn.Linear(text_width, text_hidden), nn.ReLU(), nn.Linear(text_hidden, c), nn.ReLU()
        )
        self.fusion = nn.Sequential(
            nn.Conv2d(2 * c, c, 3, padding=1, bias=False),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(c, c, 3, padding=1, bias=False),
            nn.LeakyReLU(_SLOPE),
        )
        self.conv_9 = nn.Conv2d(c, 1, 3, padding=1)

    def forward(self, frames: Tensor, text: Tensor) -> Tensor:
        """How real every pixel looks, as logits.

        Args:
            frames: (N,3,H,W) RGB in [0,1], H and W multiples of 8.
            text: (N,text_width), the pooled text of each frame.

        Returns:
            (N,1,H,W).

        Raises:
            ShapeError: the size is no multiple of 8.
        """
        return self.judge(self.features(frames)[-1], text)

    def features(self, frames: Tensor) -> list[Tensor]:
        """What the way up sees, from coarse to fine: (N,4C,H/4,W/4), (N,2C,H/2,W/2), (N,C,H,W)."""
        if frames.shape[-2] % _MULTIPLE or frames.shape[-1] % _MULTIPLE:
            raise ShapeError(f"Expected sides that are multiples of {_MULTIPLE}, got {tuple(frames.shape)}; crop them.")
        down = [_relu(self.conv_0(frames))]
        for conv in (self.conv_1, self.conv_2, self.conv_3):
            down.append(_relu(conv(down[-1])))
        up = [down.pop()]
        for conv in (self.conv_4, self.conv_5, self.conv_6):
            wide = F.interpolate(up[-1], scale_factor=2, mode="bilinear", align_corners=False)
            up.append(_relu(conv(wide)) + down.pop())
        return up[1:]

    def judge(self, features: Tensor, text: Tensor) -> Tensor:
        """Logits (N,1,H,W) from the finest of ``features`` and the pooled text."""
        x = _relu(self.conv_8(_relu(self.conv_7(features))))
        words = self.text_mlp(text)[:, :, None, None].expand(-1, -1, *x.shape[-2:])  # (N,C) -> (N,C,H,W)
        return self.conv_9(self.fusion(torch.cat([x, words], dim=1)))


def _down(inputs: int, outputs: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False))


def _same(inputs: int, outputs: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))


def _relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE)
