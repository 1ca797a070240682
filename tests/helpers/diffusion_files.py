"""The files that the diffusion systems publish, with small networks in them."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.sdatc.checkpoint import STAGE_FILES, save_stage, stage1_tensors, stage2_tensors
from textovsr.tests.helpers import mgld, sdatc, star_cog, star_shots
from textovsr.tests.helpers.diffvsr import golden_weights
from textovsr.tests.helpers.mgld import by_rule
from textovsr.tests.helpers.t5 import small_t5_weights, tokenizer_json

TEXT = "open_clip_h_text.safetensors"


def save_mgld(folder: Path) -> None:
    """The files of MGLD-VSR: a Lightning checkpoint, the video autoencoder with what training leaves, and the texts."""
    networks = mgld.tiny_networks()
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


def save_star(folder: Path) -> None:
    """The files of STAR for heavily degraded videos, and a text encoder that fits the small denoiser."""
    networks = star_shots.tiny_networks()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": networks["denoiser"].state_dict()}, folder / "heavy_deg.pt")
    save_file(networks["vae"].state_dict(), folder / "svd_vae.safetensors")
    save_file(networks["text"].state_dict(), folder / TEXT)


def save_star_cog(folder: Path) -> None:
    """The files of STAR's CogVideoX version, and a T5 of twelve words."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"model.diffusion_model.{key}": value for key, value in star_cog.sat_weights().items()}
    torch.save({"module": weights}, folder / "star_cogvideox_5b.pt")
    save_file(star_cog.quick_vae(32, 32).state_dict(), folder / "cogvideox_5b_vae.safetensors")
    texts = small_t5_weights()
    del texts["encoder.embed_tokens.weight"]  # the same tensor again
    save_file(texts, folder / "t5xxl_fp16.safetensors")
    tokenizer_json(folder / "t5_tokenizer.json")


def save_sdatc(folder: Path) -> None:
    """The files that SDATC's training leaves, Stable Diffusion's in diffusers' names, and the texts."""
    networks = sdatc.tiny_networks()
    folder.mkdir(parents=True, exist_ok=True)
    stages = (stage1_tensors(networks["dcm"], networks["denoiser"]), stage2_tensors(networks["vae"]))
    for tensors, name in zip(stages, STAGE_FILES, strict=True):
        save_stage(tensors, sdatc.TINY, 10, folder / name)
    save_file(networks["denoiser"].unet.state_dict(), folder / "v2-1_512-ema-pruned.safetensors")
    save_file(networks["vae"].vae.state_dict(), folder / "sd21_vae.safetensors")
    save_file(networks["text"].state_dict(), folder / TEXT)


def _under(prefix: str, network: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value for key, value in network.state_dict().items()}


SAVE: dict[str, Callable[[Path], None]] = {
    "MGLD-VSR": save_mgld,
    "DiffVSR": save_diffvsr,
    "STAR (heavy)": save_star,
    "STAR-CogVideoX": save_star_cog,
    "SDATC": save_sdatc,
}
"""How to make the files of each system, by the name that Diffusion Restore has for it."""
