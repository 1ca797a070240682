"""Latents to a video file, through any VAE."""

from itertools import islice
from typing import Any

from comfy_api.latest import Input, io

from ..core.codec import SourceSize, decode_latents, true_length
from ..core.config import SUFFIX, ColorFix, EncodeConfig, VideoCodec
from ..core.from_frames import FramesJob, video_from_frames
from ..core.job import Source
from ..core.latents import SOURCE
from .common_inputs import codec_input, color_fix_input, crf_input
from .frames import exact_rate
from .host.passing import passing_path
from .host.progress import check_cancelled, progress_reporter
from .host.vae import HostCodec
from .search_aliases import search_aliases
from .video_file import VideoFile, as_source

_LARGEST_TILE = 8192


class DecodeVideo(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_DecodeVideo",
            display_name="Decode Video",
            category="TextOVSR/diffusion",
            description="Makes a video of latents of any length with the VAE of any model: decoded in chunks, straight "
            "into a file, with the sound, the subtitles and the exact times of its source.",
            **search_aliases("OVSR_DecodeVideo"),
            inputs=[
                io.Latent.Input("samples", tooltip="The latents of the whole video; stitch windows before."),
                io.Vae.Input("vae", tooltip="The VAE of the model that made the latents."),
                io.Video.Input(
                    "source",
                    optional=True,
                    tooltip="The video that was encoded: gives sound, subtitles, tags and the exact time of every "
                    "frame, and its colours to the colour fix. It must have as many frames.",
                ),
                *_result(),
                io.Int.Input(
                    "tile_size",
                    default=0,
                    min=0,
                    max=_LARGEST_TILE,
                    step=64,
                    optional=True,
                    tooltip="Side of a tile in pixels of the result; 0 decodes whole frames, and in tiles only where "
                    "memory asks for them.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="A file in ComfyUI's temporary folder; save it.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, samples: dict[str, Any], vae: Any, source: Input.Video | None = None, tile_size: int = 0, **result: Any
    ) -> io.NodeOutput:
        """Decode chunk by chunk into a temporary file."""
        codec = HostCodec(vae, tile_size)
        latents = codec.frames_first(samples["samples"])
        size = SourceSize.stored(samples.get(SOURCE), codec.factor())
        job = _job(true_length(len(latents), codec.ratio, size), **result)
        frames = islice(decode_latents(latents, codec, check_cancelled), job.frames)
        cropped = frames if size is None else map(size.cropped, frames)
        origin = None if source is None else as_source(source)
        output = passing_path(SUFFIX[job.encode.codec])
        video_from_frames(cropped, output, job, origin, progress_reporter(cls))
        return io.NodeOutput(VideoFile(Source(output)))


def _job(
    frames: int,
    color_fix: ColorFix = FramesJob.color_fix,
    fps: float = float(FramesJob.frame_rate),
    codec: VideoCodec = EncodeConfig.codec,
    crf: int = EncodeConfig.crf,
) -> FramesJob:
    return FramesJob(frames, EncodeConfig(codec=codec, crf=crf), color_fix, exact_rate(fps))


def _result() -> list[io.Input]:
    return [
        color_fix_input("source"),
        io.Float.Input(
            "fps",
            default=float(FramesJob.frame_rate),
            min=0.1,
            max=1000.0,
            step=0.001,
            optional=True,
            tooltip="Frames a second if there is no source; with one, each frame has the time it has there.",
        ),
        codec_input(),
        crf_input(),
    ]
