"""SDATC's networks while they are trained: what stays as it is, and what learns."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.text.open_clip_h import encode, load_open_clip_h
from ..models.registry import read_state_dict
from ..models.sdatc.base import load_unet, load_vae
from ..models.sdatc.config import LATENT_SCALE
from ..models.sdatc.dcm import Dcm
from ..models.sdatc.denoiser import SdatcDenoiser
from ..models.sdatc.vae import Autoencoder, SdatcVae
from ..models.sdatc.walk import Unet
from .sdatc_config import BaseConfig


@dataclass
class Base:
    """Stable Diffusion 2.1 base.

    Attributes:
        unet: as diffusers has it.
        vae: likewise.
        text: (1,K,D), what the UNet reads of no words at all: SDATC is trained without any.
    """

    unet: Unet
    vae: Autoencoder
    text: Tensor


def load_base(config: BaseConfig) -> Base:
    """Load it on the CPU; the text encoder is not kept.

    Raises:
        WeightsError: a file is not there, damaged, or another one.
    """
    held = read_state_dict(config.unet, mapped=True)
    of_vae = config.vae or config.unet
    vae = held if config.vae is None else read_state_dict(of_vae, mapped=True)
    tower = load_open_clip_h(config.text or config.unet)
    with torch.no_grad():
        text = encode(tower, [""])
    return Base(load_unet(held, str(config.unet)), load_vae(vae, str(of_vae)), text)


class Learning(nn.Module):
    """What a stage trains, and nothing else: so are its states, averages and files.

    Args:
        dcm: the one that learns too, if one does.
        others: further parameters, by the names they have in the stage's file.
    """

    def __init__(self, dcm: Dcm | None, others: dict[str, nn.Parameter]) -> None:
        super().__init__()
        if dcm is not None:
            self.dcm = dcm
        self.others = nn.ParameterDict({key.replace(".", "/"): value for key, value in others.items()})

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by the names of the file."""
        others = {key.replace("/", "."): value.detach() for key, value in self.others.items()}
        dcm = self.dcm.state_dict() if hasattr(self, "dcm") else {}
        return {f"dcm.{key}": value for key, value in dcm.items()} | others

    def averaged(self) -> "Learning":
        """A copy, for averages."""
        return copy.deepcopy(self).eval().requires_grad_(False)


def denoiser_parameters(denoiser: SdatcDenoiser) -> dict[str, nn.Parameter]:
    """What stage 1 trains of the denoiser, by the names of its file."""
    return {f"denoiser.{key}": value for key, value in denoiser.trained().items()}


def vae_parameters(vae: SdatcVae) -> dict[str, nn.Parameter]:
    """What stage 2 trains, by the names of its file."""
    return {f"vae.{key}": value for key, value in vae.trained().items()}


def to_latents(vae: SdatcVae, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Frames (N,3,H,W) in [0,1] to scaled latents (N,4,H/8,W/8), the encoder's mean; and features for the decoder."""
    mean, _, features = vae.encode(2 * frames - 1)
    return LATENT_SCALE * mean, features
