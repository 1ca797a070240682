"""The networks of every diffusion system at full size: without numbers, or with random ones."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.core.text.t5 import T5Text
from textovsr.core.text.t5_tokens import TOKENS
from textovsr.models.diffvsr import config as diffvsr
from textovsr.models.diffvsr.unet import UNet
from textovsr.models.diffvsr.vae import VAE
from textovsr.models.mgld import config as mgld
from textovsr.models.mgld.denoiser import Denoiser
from textovsr.models.mgld.video_vae import VideoVAE
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.sdatc.config import SdatcNetConfig
from textovsr.models.sdatc.dcm import FULL, Dcm
from textovsr.models.sdatc.denoiser import SdatcDenoiser
from textovsr.models.sdatc.vae import SdatcVae
from textovsr.models.spynet import SPyNet
from textovsr.models.star.config import StarNetConfig
from textovsr.models.star.net import StarNet
from textovsr.models.star_cog.config import LATENT_CHANNELS, TransformerConfig

Build = Callable[[], nn.Module]
"""Makes a network on torch's default device."""


class _Words:
    """Stands for T5's tokenizer: every text is as long as can be."""

    ids = (3,) * TOKENS

    def encode(self, text: str, add_special_tokens: bool = True) -> "_Words":
        return self


def builders(system: str) -> Mapping[str, Build]:
    """How to make the networks of a system, by name."""
    return {**_SYSTEMS[system], "text": _SYSTEMS[system].get("text", lambda: OpenClipText(OpenClipConfig()))}


def without_numbers(build: Build, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A network on the meta device, where tensors have sizes only."""
    with torch.device("meta"):
        network = build()
    return network.eval().requires_grad_(False).to("meta", dtype)  # some make tensors on a device of their own


def with_random_numbers(build: Build, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A network on the CPU with small random weights."""
    network = without_numbers(build, dtype).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for value in (*network.parameters(), *network.buffers()):
        if value.is_floating_point():
            value.data.normal_(0.0, 0.02, generator=generator)
        else:
            value.data.zero_()  # tables of indices; any is as much work
    return network


def _sd_unet() -> nn.Module:
    """Stable Diffusion 2.1's."""
    from diffusers import UNet2DConditionModel

    heads = (5, 10, 20, 20)
    return UNet2DConditionModel(cross_attention_dim=1024, attention_head_dim=heads, use_linear_projection=True)


def _sd_vae() -> nn.Module:
    from diffusers import AutoencoderKL

    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    widths = (128, 256, 512, 512)
    return AutoencoderKL(down_block_types=down, up_block_types=up, block_out_channels=widths, layers_per_block=2)


def _cog_transformer() -> nn.Module:
    from textovsr.models.star_cog.transformer import StarCogTransformer

    return StarCogTransformer(TransformerConfig())


def _cog_vae() -> nn.Module:
    from textovsr.models.star_cog.vae import CogVideoXVAE

    return CogVideoXVAE(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(128, 256, 256, 512),
        layers_per_block=3,
        latent_channels=LATENT_CHANNELS,
    )


def _t5() -> nn.Module:
    """The encoder of T5 1.1 XXL."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu"
    )
    return T5Text(T5EncoderModel(config), _Words())  # type: ignore[arg-type]  # it is asked for ids alone


_SYSTEMS: dict[str, dict[str, Build]] = {
    "mgld": {
        "denoiser": lambda: Denoiser(mgld.UNetConfig(), mgld.StructConfig()),
        "vae": lambda: VideoVAE(mgld.VAEConfig()),
        "flow": SPyNet,
    },
    "diffvsr": {
        "denoiser": lambda: UNet(diffvsr.UNetConfig()),
        "vae": lambda: VAE(diffvsr.VAEConfig()),
    },
    "star": {
        "denoiser": lambda: StarNet(StarNetConfig()),
        "vae": lambda: SvdVae(SvdVaeConfig()),
    },
    "star-cogvideox": {"denoiser": _cog_transformer, "vae": _cog_vae, "text": _t5},
    "sdatc": {
        "dcm": lambda: Dcm(FULL),
        "denoiser": lambda: SdatcDenoiser(_sd_unet(), SdatcNetConfig()),
        "vae": lambda: SdatcVae(_sd_vae(), SdatcNetConfig()),
        "flow": SPyNet,
    },
}
SYSTEMS = tuple(_SYSTEMS)
