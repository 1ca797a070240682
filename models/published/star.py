"""STAR's files: the version on I2VGen-XL, of which there are two, and the one on CogVideoX-5B."""

from .needed import Licence, Needed, Place, System
from .shared import TEXT_ENCODER

STAR_TERMS = Licence("MIT", "STAR's README puts the I2VGen-XL version under it: any use that keeps the notice.")

SVD_TERMS = Licence(
    "Stable Video Diffusion Community",
    "Stability AI's terms for Stable Video Diffusion: its page says for research; for commercial use see "
    "https://stability.ai/license.",
)

COGVIDEOX_TERMS = Licence(
    "CogVideoX License",
    "The terms of CogVideoX-5B: free for academic research; commercial use asks for a registration at "
    "https://open.bigmodel.cn/mla/form, and has limits.",
)

T5_TERMS = Licence("Apache-2.0", "Google allows any use of T5 that keeps its notice.")

_STAR = "https://huggingface.co/SherryX/STAR"
_SVD = "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid"
_COGVIDEOX = "https://huggingface.co/zai-org/CogVideoX-5b"
_T5 = "https://huggingface.co/comfyanonymous/flux_text_encoders"
_TOKENS = "https://huggingface.co/google-t5/t5-base"

_LIGHT = ("light_deg", "light-deg", "star_light", "star-light")
"""In the name of a file, or of its folder, for little degradation; its keys are those of the other one."""


def _denoiser(variant: str, degraded: str, only: tuple[str, ...] = (), but: tuple[str, ...] = ()) -> Needed:
    return Needed(
        name="denoiser",
        what=f"makes the picture; for {degraded} videos",
        file=f"{variant}_deg.pt",
        keys=(
            "VideoControlNet.input_hint_block.weight",
            "input_blocks.0.1.transformer_blocks.0.local1.conv1.weight",
            "input_blocks.1.0.temopral_conv.conv1.2.weight",
        ),
        licence=STAR_TERMS,
        likely=("_deg", "-deg", "star"),
        only=only,
        but=but,
        places=(
            Place(
                f"{_STAR}/tree/main/I2VGen-XL-based",
                f"{_STAR}/resolve/main/I2VGen-XL-based/{variant}_deg.pt",
                about=8_170_000_000,
            ),
        ),
        variant=variant,
    )


STAR = System(
    name="star",
    title="STAR",
    needs=(
        _denoiser("heavy", "heavily degraded", but=_LIGHT),
        _denoiser("light", "lightly degraded", only=_LIGHT),
        Needed(
            name="vae",
            what="turns latents into frames: Stable Video Diffusion's autoencoder",
            file="svd_vae.safetensors",
            keys=("decoder.time_conv_out.weight", "decoder.mid_block.resnets.0.temporal_res_block.conv1.weight"),
            without=("decoder.mid_block.attentions.0.time_mix_block.norm_in.weight",),
            licence=SVD_TERMS,
            likely=("svd", "stable-video", "stable_video"),
            places=(
                Place(
                    f"{_SVD}/tree/main/vae",
                    f"{_SVD}/resolve/main/vae/diffusion_pytorch_model.fp16.safetensors",
                    about=196_000_000,
                    who="Stability AI",
                ),
            ),
            other="the one in full precision beside it",
        ),
        TEXT_ENCODER,
    ),
    repositories=("SherryX/STAR", "stabilityai/stable-video-diffusion-img2vid"),
    variants=("heavy", "light"),
)

STAR_COGVIDEOX = System(
    name="star-cogvideox",
    title="STAR-CogVideoX",
    needs=(
        Needed(
            name="denoiser",
            what="makes the picture; for heavily degraded videos",
            file="star_cogvideox_5b.pt",
            keys=("mixins.patch_embed.proj_sr.weight", "transformer.layers.0.spa_local.conv1.weight"),
            layouts=(("patch_embed.proj.weight", "transformer_blocks.0.spa_local.conv1.weight"),),
            licence=COGVIDEOX_TERMS,
            likely=("mp_rank_00", "cogvideox", "star"),
            places=(
                Place(
                    f"{_STAR}/tree/main/CogVideoX-5B-based",
                    f"{_STAR}/resolve/main/CogVideoX-5B-based/1/mp_rank_00_model_states.pt",
                ),
            ),
        ),
        Needed(
            name="vae",
            what="turns latents into frames: CogVideoX's autoencoder",
            file="cogvideox_5b_vae.safetensors",
            keys=("decoder.mid_block.resnets.0.norm1.conv_y.conv.weight", "encoder.conv_in.conv.weight"),
            licence=COGVIDEOX_TERMS,
            likely=("cogvideox",),
            places=(
                Place(
                    f"{_COGVIDEOX}/tree/main/vae",
                    f"{_COGVIDEOX}/resolve/main/vae/diffusion_pytorch_model.safetensors",
                    about=862_000_000,
                    who="CogVideoX's authors",
                ),
            ),
        ),
        Needed(
            name="text_encoder",
            what="reads captions: T5 v1.1 XXL",
            file="t5xxl_fp16.safetensors",
            keys=("shared.weight", "encoder.block.0.layer.1.DenseReluDense.wi_1.weight"),
            shape=(32128, 4096),
            layouts=(("encoder.embed_tokens.weight", "encoder.block.0.layer.1.DenseReluDense.wi_1.weight"),),
            without=("scaled_fp8", ".scale_weight", ".weight_scale", ".comfy_quant"),
            but=("-of-0",),
            licence=T5_TERMS,
            likely=("t5xxl", "t5-v1_1-xxl"),
            places=(
                Place(
                    f"{_T5}/tree/main",
                    f"{_T5}/resolve/main/t5xxl_fp16.safetensors",
                    about=9_790_000_000,
                    who="ComfyUI's author",
                ),
            ),
            other="T5 v1.1 XXL as one file, as Flux and Stable Diffusion 3 have it; not in scaled fp8",
        ),
        Needed(
            name="tokenizer",
            what="takes captions to pieces: T5's tokenizer",
            file="t5_tokenizer.json",
            keys=("tokenizer.Unigram",),
            shape=(32100,),
            licence=T5_TERMS,
            likely=("tokenizer.json", "spiece.model"),
            places=(
                Place(
                    f"{_TOKENS}/tree/main",
                    f"{_TOKENS}/resolve/main/tokenizer.json",
                    about=1_390_000,
                    who="T5's authors",
                ),
            ),
            other="ComfyUI's own, comfy/text_encoders/t5_tokenizer/tokenizer.json, or a tokenizer.json or spiece.model "
            "of any T5 or of CogVideoX",
        ),
    ),
    repositories=(
        "SherryX/STAR",
        "zai-org/CogVideoX-5b",
        "THUDM/CogVideoX-5b",
        "comfyanonymous/flux_text_encoders",
        "google-t5/t5-base",
    ),
)
