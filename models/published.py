"""What the diffusion systems need: files that their authors publish and that are too large to ship. Data, no code.

Facts are from the pages named here; the address of a file is put together from its page and its name, and could not be
tried out. What no page says, a size or a hash, is left unknown: the server is asked before a download.
"""

from dataclasses import dataclass, replace

TOKENS = "token_embedding.weight"


@dataclass(frozen=True)
class Licence:
    """Terms of a file.

    Attributes:
        name: in short.
        text: what a user has to know before a download.
    """

    name: str
    text: str


@dataclass(frozen=True)
class Place:
    """Where a file is published.

    Attributes:
        page: for a user to open in a browser.
        url: the file itself; empty if no program can fetch it from there.
        about: bytes, as rounded by the page; 0 if no page says.
        sha256: of the file; empty if unknown.
        who: whose place it is.
    """

    page: str
    url: str = ""
    about: int = 0
    sha256: str = ""
    who: str = "the authors"


@dataclass(frozen=True)
class Needed:
    """A network that a system needs, and the file that is published of it.

    Attributes:
        name: of the network.
        what: what it does.
        file: under which name a download is kept.
        keys: a file holds the network if each of these is the end of one of its keys.
        shape: of the first of ``keys``, where the ending alone may mean another network.
        likely: parts of names of pickled files that are looked into; small letters.
        licence: its terms.
        places: where to get it, those that a program can fetch from first; empty if it comes inside another file.
        other: files that do as well.
        inside: name of the network whose published file holds this one too.
        spare: what of ours stands in for it where there is none; empty if nothing does.
    """

    name: str
    what: str
    file: str
    keys: tuple[str, ...]
    licence: Licence
    likely: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    places: tuple[Place, ...] = ()
    other: str = ""
    inside: str = ""
    spare: str = ""


@dataclass(frozen=True)
class System:
    """A diffusion system: its name in settings, its title, what it needs, and Hugging Face's folders to look into."""

    name: str
    title: str
    needs: tuple[Needed, ...]
    repositories: tuple[str, ...]


RAIL = Licence(
    "CreativeML Open RAIL++-M",
    "Stability AI's terms for Stable Diffusion 2: any use, also commercial, but for those that the licence forbids.",
)

MGLD_TERMS = Licence(
    "none stated; StableSR's S-Lab License 1.0 (non-commercial)",
    "The repository of MGLD-VSR states no licence. Its code depends on StableSR, which is under the S-Lab License 1.0: "
    "non-commercial use only; for anything else ask the authors. The weights were trained from Stable Diffusion 2.1 "
    "base: CreativeML Open RAIL++-M.",
)

DIFFVSR_TERMS = Licence(
    "none stated",
    "The repository of DiffVSR states no licence, so its authors keep all rights: ask them before you publish or sell "
    "what you make of these files. The denoiser builds on Stable Diffusion's x4 upscaler: CreativeML Open RAIL++-M.",
)

RAFT_TERMS = Licence("BSD-3-Clause", "RAFT's authors allow any use that keeps their notice.")

_MGLD_PAGES = (
    Place("https://connectpolyu-my.sharepoint.com/:f:/g/personal/19046191r_connect_polyu_hk/"
          "EvI_j1SUiVFBlwEy4i62ckgB1XEHeqfFcJS4Ho6JQrTAWA?e=rDT4M4", who="the authors, OneDrive"),
    Place("https://pan.baidu.com/s/1xQF996RsxnmN-60ZLB6Vig?pwd=gh4i", who="the authors, BaiduNetDisk"),
)  # fmt: skip
_MGLD_COPY = "https://huggingface.co/Iceclear/MGLD-VSR"
_COPY_OF = "a copy by StableSR's author"
_DIFFVSR = "https://huggingface.co/huihui9998/DiffVSR"
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
    places=(Place(f"{_MGLD_COPY}/tree/main", f"{_MGLD_COPY}/resolve/main/raft-things.pth", 21_100_000, who=_COPY_OF),),
    inside="denoiser",
    spare="SPyNet, which ships",
)

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
                Place(f"{_MGLD_COPY}/tree/main", f"{_MGLD_COPY}/resolve/main/mgldvsr_unet.ckpt", 6_680_000_000,
                      who=_COPY_OF),
                *_MGLD_PAGES,
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
                Place(f"{_MGLD_COPY}/tree/main", f"{_MGLD_COPY}/resolve/main/video_vae_cfw.ckpt", 803_000_000,
                      who=_COPY_OF),
                *_MGLD_PAGES,
            ),
        ),
        replace(TEXT_ENCODER, inside="denoiser"),
        FLOW,
    ),
    repositories=("Iceclear/MGLD-VSR",),
)  # fmt: skip

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
            places=(Place(f"{_DIFFVSR}/tree/main", f"{_DIFFVSR}/resolve/main/DiffVSR_UNet.pt"),),
        ),
        Needed(
            name="vae",
            what="turns latents into frames: temporal autoencoder",
            file="TE-3DVAE.pt",
            keys=("decoder.time_conv_out.weight", "decoder.mid_block.attentions.0.time_mix_block.norm_in.weight"),
            licence=DIFFVSR_TERMS,
            likely=("diffvsr", "3dvae"),
            places=(Place(f"{_DIFFVSR}/tree/main", f"{_DIFFVSR}/resolve/main/TE-3DVAE.pt"),),
        ),
        TEXT_ENCODER,
    ),
    repositories=("huihui9998/DiffVSR",),
)

SYSTEMS = (MGLD, DIFFVSR)

TEXT_REPOSITORIES = (
    "stabilityai/stable-diffusion-x4-upscaler",
    "stabilityai/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-1-base",
    "stabilityai/stable-diffusion-2",
    "stabilityai/stable-diffusion-2-base",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
)
"""Of Hugging Face, which may be in its cache and hold the text encoder."""
