"""The autoencoder of DiffVSR (TE-3DVAE): Stable Diffusion's encoder, and a decoder that mixes the frames of a clip."""

from typing import cast

from torch import Tensor, nn

from ...core.errors import ShapeError
from .config import FRAME_CHANNELS, LATENT_CHANNELS, VAEConfig
from .layers import activated, each_frame
from .vae_blocks import ClipAttention, ClipConv, PictureAttention, PictureBlock, PictureResize, ResBlock, normalisation


class _Level(nn.Module):
    """Blocks of one size, of pictures or of clips, and what changes the size after them."""

    def __init__(self, inputs: int, outputs: int, blocks: int, clip: bool) -> None:
        super().__init__()
        block: type[nn.Module] = ResBlock if clip else PictureBlock
        self.resnets = nn.ModuleList(block(inputs if i == 0 else outputs, outputs) for i in range(blocks))
        self.downsamplers = nn.ModuleList()
        self.upsamplers = nn.ModuleList()


def _levels(modules: nn.ModuleList) -> list[_Level]:
    return cast("list[_Level]", list(modules))


class _Middle(nn.Module):
    def __init__(self, channels: int, clip: bool) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([ClipAttention(channels) if clip else PictureAttention(channels)])
        block: type[nn.Module] = ResBlock if clip else PictureBlock
        self.resnets = nn.ModuleList(block(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Encoder(nn.Module):
    """Pictures to the moments of their latents."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = (config.channels[0], *config.channels)
        last = len(config.channels) - 1
        self.conv_in = nn.Conv2d(FRAME_CHANNELS, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            _Level(widths[i], widths[i + 1], config.blocks, clip=False) for i in range(last + 1)
        )
        for level, width in zip(_levels(self.down_blocks)[:last], widths[1:], strict=False):
            level.downsamplers.append(PictureResize(width, down=True))
        self.mid_block = _Middle(widths[-1], clip=False)
        self.conv_norm_out = normalisation(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 2 * LATENT_CHANNELS, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,3,H,W) -> (N,8,h,w)."""
        x = self.conv_in(x)
        for level in _levels(self.down_blocks):
            for layer in (*level.resnets, *level.downsamplers):
                x = layer(x)
        return self.conv_out(activated(self.conv_norm_out, self.mid_block(x)))


class Decoder(nn.Module):
    """Latents of a clip to its frames."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = (config.channels[-1], *reversed(config.channels))
        last = len(config.channels) - 1
        self.conv_in = nn.Conv2d(LATENT_CHANNELS, widths[0], 3, padding=1)
        self.mid_block = _Middle(widths[0], clip=True)
        self.up_blocks = nn.ModuleList(
            _Level(widths[i], widths[i + 1], config.blocks + 1, clip=True) for i in range(last + 1)
        )
        for level, width in zip(_levels(self.up_blocks)[:last], widths[1:], strict=False):
            level.upsamplers.append(PictureResize(width, down=False))
        self.conv_norm_out = normalisation(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], FRAME_CHANNELS, 3, padding=1)
        self.time_conv_out = ClipConv(FRAME_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """(B,4,T,h,w) -> (B,3,T,H,W)."""
        x = self.mid_block(each_frame(self.conv_in, x))
        for level in _levels(self.up_blocks):
            for block in level.resnets:
                x = block(x)
            for resize in level.upsamplers:
                x = each_frame(resize, x)
        x = each_frame(lambda frames: self.conv_out(activated(self.conv_norm_out, frames)), x)
        return self.time_conv_out(x)


class VAE(nn.Module):
    """The whole; key names are those of the published file."""

    def __init__(self, config: VAEConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VAEConfig()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = nn.Conv2d(2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1)
        self.post_quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1)

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures; restoration has no need of it.

        Args:
            pictures: (N,3,H,W) RGB in [-1,1].

        Returns:
            Mean and logarithm of the variance of the latents, (N,4,h,w) each, not scaled, the latter clipped to -30 to
            20 as published.

        Raises:
            ShapeError: a side is no multiple of 4.
        """
        factor = self.config.factor
        if pictures.ndim != 4 or pictures.shape[2] % factor or pictures.shape[3] % factor:
            raise ShapeError(
                f"Expected pictures (N,3,H,W) with sides that are multiples of {factor}, got {tuple(pictures.shape)}; "
                "pad them first."
            )
        mean, log_variance = self.quant_conv(self.encoder(pictures)).chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def decode(self, z: Tensor) -> Tensor:
        """Decode the latents of clips; frames of a clip are mixed with each other.

        Args:
            z: (B,4,T,h,w), not scaled.

        Returns:
            (B,3,T,H,W), RGB about [-1,1], not clamped.

        Raises:
            ShapeError: these are no latents of clips.
        """
        if z.ndim != 5 or z.shape[1] != LATENT_CHANNELS:
            raise ShapeError(f"Expected latents (B,{LATENT_CHANNELS},T,h,w), got {tuple(z.shape)}.")
        return self.decoder(each_frame(self.post_quant_conv, z))
