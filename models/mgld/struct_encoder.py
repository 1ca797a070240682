"""The structure encoder: the low-resolution latents as features of every size that the denoiser works at."""

from torch import Tensor, nn

from .attention import PlaceAttention
from .blocks import Downsample, ResBlock, blocks, time_layers, time_waves
from .config import EMBEDDING, LATENT_CHANNELS, StructConfig


class StructEncoder(nn.Module):
    """Half a denoiser; its features before each downsampling, and of the middle, modulate the denoiser's own.

    Key names are those of ``structcond_stage_model`` in the published checkpoint.
    """

    def __init__(self, config: StructConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StructConfig()
        embedding = EMBEDDING * config.channels
        self.time_embed = time_layers(config.channels, embedding)
        width = config.channels
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)])])
        widths = []
        last = len(config.multipliers) - 1
        for level, multiplier in enumerate(config.multipliers):
            for _ in range(config.blocks):
                layers: list[nn.Module] = [ResBlock(width, multiplier * config.channels, embedding)]
                width = multiplier * config.channels
                if level < last:
                    layers.append(PlaceAttention(width, config.heads))
                self.input_blocks.append(nn.ModuleList(layers))
            widths.append(width)
            if level < last:
                self.input_blocks.append(nn.ModuleList([Downsample(width)]))
        self.middle_block = nn.ModuleList(
            [ResBlock(width, width, embedding), PlaceAttention(width, config.heads), ResBlock(width, width, embedding)]
        )
        self.fea_tran = nn.ModuleList(ResBlock(width, config.outputs, embedding) for width in widths)

    def forward(self, z: Tensor, timesteps: Tensor) -> list[Tensor]:
        """Features of every level.

        Args:
            z: (N,4,h,w), scaled latents of the enlarged low-resolution frames.
            timesteps: (N,), the denoiser's.

        Returns:
            (N,S,h,w), and half of each size for each further level, rounded up.
        """
        embedding = self.time_embed(time_waves(timesteps, self.config.channels, z.dtype))
        features = []
        for block in blocks(self.input_blocks):
            if isinstance(block[0], Downsample):
                features.append(z)
            z = _run(block, z, embedding)
        features.append(_run(self.middle_block, z, embedding))
        return [transform(feature, embedding) for transform, feature in zip(self.fea_tran, features, strict=True)]


def _run(block: nn.ModuleList, x: Tensor, embedding: Tensor) -> Tensor:
    for layer in block:
        x = layer(x, embedding) if isinstance(layer, ResBlock) else layer(x)
    return x
