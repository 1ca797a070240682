"""Small random diffusion checkpoints of the host's own classes, and texts for them without a text encoder.

Everything here needs the host on ``sys.path`` (the fixture ``host``). The widths are those by which the host tells the
families apart; the levels are as few as it takes.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Kind = Literal["sd15", "sd21", "sdx4"]


@dataclass(frozen=True)
class _Shape:
    """What the host looks at: width, width of the text, input channels, levels, linear projections."""

    width: int
    context: int
    channels: int = 4
    levels: int = 1
    linear: bool = True


_SHAPES: dict[Kind, _Shape] = {
    "sd15": _Shape(320, 768, linear=False),
    "sd21": _Shape(320, 1024),
    "sdx4": _Shape(256, 1024, channels=7, levels=4),
}

CONDITIONING = "OVSRTest_Conditioning"
"""The test's node: seed -> CONDITIONING of 77 tokens, of a width that its second input says."""

_PACK = """
import torch


class Conditioning:
    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "make"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0}), "width": ("INT", {"default": 768, "max": 4096})}}

    def make(self, seed, width):
        return ([[torch.randn(1, 77, width, generator=torch.Generator().manual_seed(seed)), {}]],)


NODE_CLASS_MAPPINGS = {"OVSRTest_Conditioning": Conditioning}
"""


def save_checkpoint(folder: Path, kind: Kind = "sd15", name: str = "", seed: int = 0) -> str:
    """Save a denoiser and a TAESD as one checkpoint for CheckpointLoaderSimple, 60 MB; returns its name.

    Args:
        folder: ComfyUI's ``models/checkpoints``; made if it is missing.
        kind: the family that the host shall find: sd15, sd21, or sdx4 (the x4 upscaler; its VAE here is 8 times).
        name: of the file; nothing is ``tiny_KIND.safetensors``.
        seed: of the weights. What is there already is not written again.
    """
    path = folder / (name or f"tiny_{kind}.safetensors")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        weights = {f"model.diffusion_model.{key}": value for key, value in unet(kind, seed).state_dict().items()}
        weights |= {f"first_stage_model.{key}": value for key, value in taesd_weights(seed).items()}
        save_file({key: value.contiguous() for key, value in weights.items()}, path)
    return path.name


def save_vae(folder: Path, name: str = "tiny_vae.safetensors", seed: int = 0) -> str:
    """Save a random TAESD for VAELoader in ``folder``, ComfyUI's ``models/vae``; returns its name."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(taesd_weights(seed), folder / name)
    return name


def unet(kind: Kind = "sd15", seed: int = 0) -> nn.Module:
    """The host's UNet with one residual block a level and random weights.

    It takes most of what it is given for noise, so that sampling ends near what it began with, and latents stay small;
    of sdx4, which predicts velocities, the output is only random.
    """
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    network = UNetModel(out_channels=4, transformer_depth_output=[0] * 2 * _SHAPES[kind].levels, **_settings(kind))
    fill(network, seed)
    if kind != "sdx4":
        _let_input_through(network)
    return network


def save_controlnet(folder: Path, name: str = "tiny_controlnet.safetensors", seed: int = 1) -> str:
    """Save a random ControlNet for the sd15 of ``save_checkpoint`` in ComfyUI's ``models/controlnet``; its name."""
    from comfy.cldm.cldm import ControlNet

    folder.mkdir(parents=True, exist_ok=True)
    network = fill(ControlNet(hint_channels=3, **_settings("sd15")), seed)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / name)
    return name


def _settings(kind: Kind) -> dict[str, Any]:
    shape = _SHAPES[kind]
    return {
        "image_size": 32,
        "in_channels": shape.channels,
        "model_channels": shape.width,
        "num_res_blocks": [1] * shape.levels,
        "channel_mult": [1] * shape.levels,
        "num_classes": 1000 if kind == "sdx4" else None,
        "num_heads": 8,
        "use_spatial_transformer": True,
        "transformer_depth": [1] + [0] * (shape.levels - 1),
        "transformer_depth_middle": -2,
        "context_dim": shape.context,
        "disable_self_attentions": [True, True, True, False] if kind == "sdx4" else None,
        "legacy": False,
        "use_linear_in_transformer": shape.linear,
    }


def _let_input_through(network: Any) -> None:
    """Channels 2c and 2c+1 of the first layer carry latent channel c and its negative to the last, beside the rest."""
    pairs, first, last = range(4), network.input_blocks[0][0].weight, network.out[2].weight
    skip = network.output_blocks[-1][0].skip_connection.weight  # of the last block's input and the first layer
    width = skip.shape[0]
    last *= 0.2
    skip *= 0.2
    first[:8], skip[:8] = 0, 0
    for channel in pairs:
        for index, sign in ((2 * channel, 1), (2 * channel + 1, -1)):
            first[index, channel, 1, 1] = sign
            skip[index, width + index] = 1
            last[channel, index, 1, 1] = sign  # silu(a) - silu(-a) = a
    network.output_blocks[-1][0].out_layers[3].weight.mul_(0.2)


def taesd_weights(seed: int = 0) -> dict[str, Tensor]:
    """A random TAESD as a state dict: 3 channels and 4 latent channels, 8 times smaller."""
    from comfy.taesd.taesd import TAESD

    network = fill(TAESD(latent_channels=4), seed)
    weights = network.state_dict()
    weights["taesd_decoder.19.bias"] += 0.5  # the pictures lie around mid-grey
    return weights


def vae(seed: int = 0) -> Any:
    """The host's VAE object over a random TAESD."""
    import comfy.sd

    return comfy.sd.VAE(sd=taesd_weights(seed))


def conditioning(seed: int = 0, width: int = 768) -> list[list[Any]]:
    """A CONDITIONING without a text encoder, the one that the test's node gives."""
    return [[torch.randn(1, 77, width, generator=torch.Generator().manual_seed(seed)), {}]]


def conditioning_pack(base: Path) -> str:
    """Write a node that gives such a CONDITIONING into a server's base folder; returns its id. Before its start."""
    folder = base / "custom_nodes" / "test_conditioning"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text(_PACK, "utf-8")
    return CONDITIONING


def fill(network: nn.Module, seed: int) -> nn.Module:
    """Give a network whose host left its memory as it was seeded weights that keep the size of what goes through."""
    generator = torch.Generator().manual_seed(seed)
    for key, value in network.state_dict().items():
        if value.ndim > 1:
            gain = 1 / math.sqrt(max(value[0].numel(), 1))
            value.copy_(torch.randn(value.shape, generator=generator) * gain)
        elif key.endswith(("weight", "scale")):
            value.fill_(1.0)
        else:
            value.zero_()
    return network.eval().requires_grad_(False)
