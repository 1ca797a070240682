"""MGLD-VSR's golden tensors, and small networks whose weights are made from their keys as that file's header says."""

import json
import zlib
from functools import lru_cache

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.motion.networks import load_spynet
from textovsr.core.restorers.parts import HeldParts
from textovsr.models.mgld.config import StructConfig, UNetConfig, VAEConfig
from textovsr.models.mgld.denoiser import Denoiser
from textovsr.models.mgld.struct_encoder import StructEncoder
from textovsr.models.mgld.unet import UNet
from textovsr.models.mgld.video_vae import Decoder, VideoVAE
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.tests.helpers.rule import GOLDEN

SMALL_UNET = UNetConfig(channels=32, head_width=16, context=48, structure=32)
SMALL_STRUCT = StructConfig(channels=32, outputs=32)
TINY_UNET = UNetConfig(channels=32, multipliers=(1, 1, 1, 1), blocks=1, head_width=16, context=48, structure=32)
TINY_STRUCT = StructConfig(channels=32, multipliers=(1, 1, 1, 1), blocks=1, outputs=32)
TINY_VAE = VAEConfig(channels=32, multipliers=(1, 1, 1, 1), blocks=1)
TINY_TEXT = OpenClipConfig(width=48, layers=1, heads=3, hidden=96)


@lru_cache(maxsize=1)
def mgld_golden() -> dict[str, Tensor]:
    """All tensors of the file."""
    return load_file(GOLDEN / "mgld.safetensors")


def published_keys(manifest: str, prefix: str) -> dict[str, list[int]]:
    """Keys that begin with ``prefix``, without it, and their shapes."""
    keys = json.loads((GOLDEN / manifest).read_text("utf-8"))
    return {key.removeprefix(prefix): shape for key, shape in keys.items() if key.startswith(prefix)}


def by_rule(network: nn.Module) -> nn.Module:
    """Give a network the weights of the rule, ready to run."""
    network.load_state_dict({key: _weight(key, value) for key, value in network.state_dict().items()})
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def small_unet() -> nn.Module:
    """The denoiser of the golden case."""
    return by_rule(UNet(SMALL_UNET))


@lru_cache(maxsize=1)
def small_struct() -> nn.Module:
    """The structure encoder of the golden case."""
    return by_rule(StructEncoder(SMALL_STRUCT))


@lru_cache(maxsize=1)
def small_decoder() -> nn.Module:
    """The video decoder of the golden case."""
    return by_rule(Decoder(VAEConfig(channels=32)))


@lru_cache(maxsize=1)
def small_denoiser() -> Denoiser:
    """Denoiser and structure encoder of the golden case as one."""
    denoiser = Denoiser(SMALL_UNET, SMALL_STRUCT)
    denoiser.unet, denoiser.structure = small_unet(), small_struct()  # type: ignore[assignment]  # what they are
    return denoiser.eval()


@lru_cache(maxsize=1)
def tiny_networks() -> dict[str, nn.Module]:
    """All networks of the system, the shipped one for the flow, the others as small as can be."""
    return {
        "denoiser": by_rule(Denoiser(TINY_UNET, TINY_STRUCT)),
        "vae": by_rule(VideoVAE(TINY_VAE)),
        "text": by_rule(OpenClipText(TINY_TEXT)),
        "flow": load_spynet(),
    }


def tiny_parts() -> HeldParts:
    """``tiny_networks`` to restore with on a CPU."""
    return HeldParts(tiny_networks(), torch.device("cpu"), torch.float32)


def moving_clip(frames: int, height: int = 40, width: int = 48) -> Tensor:
    """(T,3,H,W) in [0,1]: soft noise that moves by a pixel right and half a pixel down from frame to frame."""
    noise = torch.rand(1, 3, 2 * height // 5, 2 * width // 5, generator=torch.Generator().manual_seed(1))
    large = F.interpolate(noise, size=(4 * height, 4 * width), mode="bicubic").clamp(0, 1)[0]
    shown = [
        large[:, frames - i : frames - i + 2 * height, 2 * (frames - i) :][..., : 2 * width] for i in range(frames)
    ]
    return F.avg_pool2d(torch.stack(shown), 2)


def golden_motion() -> ClipMotion:
    """The motion of the golden case.

    The published code calls a flow by the direction of propagation that it serves: its flow_backward is flow(i -> i+1).
    Its masks are called by the direction of the flow that they belong to.
    """
    names = ("flow_backward", "flow_forward", "occ_forward", "occ_backward")
    return ClipMotion(*(mgld_golden()[f"in.{name}"][0] for name in names))


def _weight(key: str, like: Tensor) -> Tensor:
    if key.endswith("temporal_alpha"):
        return torch.full_like(like, 0.3)
    x = torch.randn(like.shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    if like.ndim > 1:
        return 0.7 / like[0].numel() ** 0.5 * x
    return 0.1 * x + key.endswith("weight")
