"""MGLD-VSR's files."""

from dataclasses import replace

from .needed import Licence, Needed, Place, System
from .shared import COPY_OF_MGLD, FLOW, MGLD_COPY, TEXT_ENCODER

MGLD_TERMS = Licence(
    "none stated; StableSR's S-Lab License 1.0 (non-commercial)",
    "The repository of MGLD-VSR states no licence. Its code depends on StableSR, which is under the S-Lab License 1.0: "
    "non-commercial use only; for anything else ask the authors. The weights were trained from Stable Diffusion 2.1 "
    "base: CreativeML Open RAIL++-M.",
)

_PAGES = (
    Place("https://connectpolyu-my.sharepoint.com/:f:/g/personal/19046191r_connect_polyu_hk/"
          "EvI_j1SUiVFBlwEy4i62ckgB1XEHeqfFcJS4Ho6JQrTAWA?e=rDT4M4", who="the authors, OneDrive"),
    Place("https://pan.baidu.com/s/1xQF996RsxnmN-60ZLB6Vig?pwd=gh4i", who="the authors, BaiduNetDisk"),
)  # fmt: skip

MGLD = System(
    name="mgld",
    title="MGLD-VSR",
    needs=(
        Needed(
            name="denoiser",
            what="makes the picture; the file also holds a text encoder, an autoencoder and RAFT",
            file="mgldvsr_unet.ckpt",
            keys=("middle_block.1.temporal_alpha", "spade.mlp_gamma.weight", "fea_tran.0.in_layers.2.weight"),
            licence=MGLD_TERMS,
            likely=("mgld",),
            places=(
                Place(f"{MGLD_COPY}/tree/main", f"{MGLD_COPY}/resolve/main/mgldvsr_unet.ckpt", 6_680_000_000,
                      who=COPY_OF_MGLD),
                *_PAGES,
            ),
        ),
        Needed(
            name="vae",
            what="turns latents into frames, with the input's detail: video autoencoder with CFW",
            file="video_vae_cfw.ckpt",
            keys=("decoder.temporal_mixing.temporal_alpha", "decoder.fusion_layer_1.encode_enc_1.conv_out.weight"),
            licence=MGLD_TERMS,
            likely=("mgld", "vae_cfw", "video_vae"),
            places=(
                Place(f"{MGLD_COPY}/tree/main", f"{MGLD_COPY}/resolve/main/video_vae_cfw.ckpt", 803_000_000,
                      who=COPY_OF_MGLD),
                *_PAGES,
            ),
        ),
        replace(TEXT_ENCODER, inside="denoiser"),
        FLOW,
    ),
    repositories=("Iceclear/MGLD-VSR",),
)  # fmt: skip
