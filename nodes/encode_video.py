"""A video to latents, through any VAE."""

from dataclasses import asdict
from typing import Any

import torch
from comfy_api.latest import Input, io

from ..core.config import LATENT_MEMORY
from ..core.latents import SOURCE, LatentStore
from ..core.to_latents import encode_stream, encode_video
from .host.folders import temporary_path
from .host.progress import check_cancelled, progress_reporter
from .host.vae import HostCodec
from .search_aliases import search_aliases
from .video_file import as_source

_MEGABYTE = 1_000_000
_LARGEST_TILE = 8192


class EncodeVideo(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_EncodeVideo",
            display_name="Encode Video",
            category="TextOVSR/diffusion",
            description="Makes latents of a video of any length with the VAE of any model: read frame by frame, "
            "encoded in chunks, and kept on the disk where there are too many for the memory.",
            **search_aliases("OVSR_EncodeVideo"),
            inputs=[
                io.MultiType.Input(
                    "video",
                    types=[io.Video, io.Image],
                    tooltip="The video to encode, read frame by frame. A batch of images works too.",
                ),
                io.Vae.Input("vae", tooltip="The VAE of the model that will work on the latents."),
                io.Int.Input(
                    "tile_size",
                    default=0,
                    min=0,
                    max=_LARGEST_TILE,
                    step=64,
                    optional=True,
                    tooltip="Side of a tile in pixels; 0 takes whole frames, and tiles only where memory asks for "
                    "them.",
                ),
                io.Int.Input(
                    "latent_memory",
                    default=LATENT_MEMORY,
                    min=0,
                    max=1_000_000,
                    optional=True,
                    tooltip="Megabytes of latents that are kept in memory. More of them go to a file in ComfyUI's "
                    "temporary folder, which disappears with them.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="samples",
                    tooltip="Frames in the batch, or of a video model one video. It knows the size and the number of "
                    "frames, which Decode Video goes by.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        video: Input.Video | torch.Tensor,
        vae: Any,
        tile_size: int = 0,
        latent_memory: int = LATENT_MEMORY,
    ) -> io.NodeOutput:
        """Encode chunk by chunk."""
        codec = HostCodec(vae, tile_size)
        report = progress_reporter(cls)
        with LatentStore(temporary_path("").parent, latent_memory * _MEGABYTE) as store:
            if isinstance(video, torch.Tensor):
                images = (image[..., :3].movedim(-1, 0) for image in video)  # (T,H,W,C) -> (C,H,W)
                latents, size = encode_stream(images, len(video), (codec, store), report, check_cancelled)
            else:
                latents, size = encode_video(as_source(video), codec, store, report, check_cancelled)
        return io.NodeOutput({"samples": codec.samples(latents), SOURCE: asdict(size)})
