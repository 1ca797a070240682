"""DiffVSR's files."""

from .needed import Licence, Needed, Place, System
from .shared import TEXT_ENCODER

DIFFVSR_TERMS = Licence(
    "none stated",
    "The repository of DiffVSR states no licence, so its authors keep all rights: ask them before you publish or sell "
    "what you make of these files. The denoiser builds on Stable Diffusion's x4 upscaler: CreativeML Open RAIL++-M.",
)

_PAGE = "https://huggingface.co/huihui9998/DiffVSR"

DIFFVSR = System(
    name="diffvsr",
    title="DiffVSR",
    needs=(
        Needed(
            name="denoiser",
            what="makes the picture",
            file="DiffVSR_UNet.pt",
            keys=("mid_temporal_block.shift_conv.weight", "attn_temporal_small.to_q.weight"),
            licence=DIFFVSR_TERMS,
            likely=("diffvsr",),
            places=(Place(f"{_PAGE}/tree/main", f"{_PAGE}/resolve/main/DiffVSR_UNet.pt"),),
        ),
        Needed(
            name="vae",
            what="turns latents into frames: temporal autoencoder",
            file="TE-3DVAE.pt",
            keys=("decoder.time_conv_out.weight", "decoder.mid_block.attentions.0.time_mix_block.norm_in.weight"),
            licence=DIFFVSR_TERMS,
            likely=("diffvsr", "3dvae"),
            places=(Place(f"{_PAGE}/tree/main", f"{_PAGE}/resolve/main/TE-3DVAE.pt"),),
        ),
        TEXT_ENCODER,
    ),
    repositories=("huihui9998/DiffVSR",),
)
