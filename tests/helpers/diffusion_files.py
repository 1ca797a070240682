"""The files that the diffusion systems publish, with small networks in them."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.tests.helpers.diffvsr import golden_weights
from textovsr.tests.helpers.mgld import by_rule, tiny_networks

TEXT = "open_clip_h_text.safetensors"


def save_mgld(folder: Path) -> None:
    """The files of MGLD-VSR: a Lightning checkpoint, the video autoencoder with what training leaves, and the texts."""
    networks = tiny_networks()
    denoiser = networks["denoiser"]
    state = _under("model.diffusion_model.", denoiser.unet) | _under("structcond_stage_model.", denoiser.structure)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "global_step": 1}, folder / "mgldvsr_unet.ckpt")
    vae = networks["vae"].state_dict() | {"loss.logvar": torch.zeros(())}
    torch.save({"state_dict": vae}, folder / "video_vae_cfw.ckpt")
    save_file(networks["text"].state_dict(), folder / TEXT)


def save_diffvsr(folder: Path) -> None:
    """The files of DiffVSR, and a text encoder that fits the small denoiser."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"ema": golden_weights("unet")}, folder / "DiffVSR_UNet.pt")
    torch.save(golden_weights("vae"), folder / "TE-3DVAE.pt")
    text = by_rule(OpenClipText(OpenClipConfig(width=32, layers=1, heads=2, hidden=64)))
    save_file(text.state_dict(), folder / TEXT)


def _under(prefix: str, network: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value for key, value in network.state_dict().items()}
