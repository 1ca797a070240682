"""Small networks of Stable Diffusion 2.1's kind, and SDATC's on top of them."""

import zlib
from functools import lru_cache
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from textovsr.core.motion.networks import load_spynet
from textovsr.core.restorers.parts import HeldParts
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.sdatc.config import (
    CapmConfig,
    CfwConfig,
    ControlConfig,
    SdatcNetConfig,
    StamConfig,
)
from textovsr.models.sdatc.dcm import Dcm, DcmConfig
from textovsr.models.sdatc.denoiser import SdatcDenoiser
from textovsr.models.sdatc.vae import SdatcVae

TEXT = 48
"""Channels of the text."""

TINY_CAPM = CapmConfig(prompts=2, channels=4, side=4, hidden=8, width=16)
TINY = SdatcNetConfig(
    control=ControlConfig(channels=32, multipliers=(1, 1)),
    unet_capm=TINY_CAPM,
    vae_capm=CapmConfig(prompts=2, channels=4, side=4, hidden=8, width=0),
    stam=StamConfig(heads=2),
    cfw=CfwConfig(levels=(2,)),
)
TINY_DCM = DcmConfig(channels=12, groups=1, depth=2, heads=2, upsampler="direct", skip="bicubic")


def tiny_unet() -> Any:
    """A UNet with all that Stable Diffusion 2.1's has, two levels deep: attention at the first, none at the last."""
    network = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT,
        attention_head_dim=(1, 1),
        use_linear_projection=True,
    )
    return by_rule(network)


def tiny_vae() -> Any:
    """An autoencoder with as many levels as Stable Diffusion's."""
    network = AutoencoderKL(
        block_out_channels=(8, 32, 32, 32),
        norm_num_groups=8,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
    )
    return by_rule(network)


def by_rule(network: nn.Module) -> nn.Module:
    """Give a network weights that are made of their keys, and ready it to run."""
    network.load_state_dict({key: _weight(key, value) for key, value in network.state_dict().items()})
    return network.eval().requires_grad_(False)


def stirred(network: nn.Module, size: float = 0.05) -> nn.Module:
    """Add something to every weight, so that what begins with zeros does something; in place."""
    with torch.no_grad():
        for key, value in network.named_parameters():
            value += size * torch.randn(value.shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    return network


def noise(seed: int, *shape: int) -> Tensor:
    """Seeded normal noise."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@lru_cache(maxsize=1)
def tiny_networks() -> dict[str, nn.Module]:
    """All networks of the system, as if they were trained; the shipped one for the flow."""
    torch.manual_seed(0)
    denoiser, vae = SdatcDenoiser(tiny_unet(), TINY), SdatcVae(tiny_vae(), TINY)
    for part in (denoiser.control, denoiser.capm, vae.stam, vae.capm, vae.cfw):
        stirred(part)
    networks = {
        "dcm": stirred(Dcm(TINY_DCM), 0.02),
        "denoiser": denoiser,
        "vae": vae,
        "text": by_rule(OpenClipText(OpenClipConfig(width=TEXT, layers=1, heads=3, hidden=96))),
        "flow": load_spynet(),
    }
    return {name: network.eval().requires_grad_(False) for name, network in networks.items()}


def tiny_parts() -> HeldParts:
    """``tiny_networks`` to restore with on a CPU."""
    return HeldParts(tiny_networks(), torch.device("cpu"), torch.float32)


def _weight(key: str, like: Tensor) -> Tensor:
    x = torch.randn(like.shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    if like.ndim > 1:
        return 0.7 / like[0].numel() ** 0.5 * x
    return 0.1 * x + key.endswith("weight")
