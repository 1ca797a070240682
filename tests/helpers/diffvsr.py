"""DiffVSR's golden tensors, and the small networks that they were made with."""

import json
from functools import lru_cache

import torch
from safetensors.torch import load_file
from torch import Tensor

from textovsr.models.diffvsr.config import ROTARY_KEYS, VAEConfig, read_unet_config, read_vae_config
from textovsr.models.diffvsr.unet import UNet
from textovsr.models.diffvsr.vae import VAE
from textovsr.tests.helpers.rule import GOLDEN


@lru_cache(maxsize=3)
def diffvsr_golden(name: str) -> dict[str, Tensor]:
    """All tensors of a file: ``unet``, ``vae`` or ``e2e``; half precision as float32."""
    tensors = load_file(GOLDEN / f"diffvsr_{name}_tiny.safetensors")
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def golden_weights(name: str) -> dict[str, Tensor]:
    """The weights in a file, as a checkpoint holds them."""
    return {key[2:]: value for key, value in diffvsr_golden(name).items() if key.startswith("w.")}


def published_keys(name: str) -> dict[str, list[int]]:
    """Keys and shapes of the published ``unet`` or ``vae``, without the buffers that are made anew."""
    keys = json.loads((GOLDEN / f"diffvsr_{name}_manifest.json").read_text("utf-8"))
    return {key: shape for key, shape in keys.items() if not key.endswith(ROTARY_KEYS)}


@lru_cache(maxsize=1)
def small_unet() -> UNet:
    """The denoiser of the golden cases."""
    weights = {key: value for key, value in golden_weights("unet").items() if not key.endswith(ROTARY_KEYS)}
    network = UNet(read_unet_config(weights))
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def small_vae() -> VAE:
    """The autoencoder of the golden cases."""
    weights = golden_weights("vae")
    network = VAE(read_vae_config(weights))
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def quick_vae() -> VAE:
    """A decoder of a block a level, a third of the work."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VAE(VAEConfig((32, 32, 32), blocks=0)).eval().requires_grad_(False)
