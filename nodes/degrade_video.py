"""Making a video worse on purpose."""

from dataclasses import replace

from comfy_api.latest import Input, io

from ..core.config import SUFFIX, VideoCodec
from ..core.degrade.config import PRESETS, SCALES, DegradeConfig
from ..core.degrade.video import FINE, DegradeJob, degrade_video
from ..core.job import Source
from .common_inputs import codec_input, crf_input
from .host.passing import passing_path
from .host.progress import check_cancelled, progress_reporter
from .search_aliases import search_aliases
from .video_file import VideoFile, as_source

_SCALE_NAMES = {"1" if scale == 1 else f"1/{scale}": scale for scale in SCALES}
_LARGEST_SEED = 2**53 - 1
"""The largest number that a browser knows exactly."""


class DegradeVideo(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_DegradeVideo",
            display_name="Degrade Video",
            category="TextOVSR/degrade",
            description="Makes old, noisy or squeezed footage of any video, for training pairs and for tests, and says "
            "exactly what it did. Works frame by frame in constant memory; sound, subtitles and exact times are kept.",
            **search_aliases("OVSR_DegradeVideo"),
            inputs=[
                io.Video.Input("video", tooltip="The video to degrade, read frame by frame."),
                *_degradation(),
                *_result(),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="A file; the exact parameters are in its tags."),
                io.String.Output(
                    display_name="degradation_text",
                    tooltip="What was done, in the words that TextOVSR Upscale understands.",
                ),
                io.String.Output(
                    display_name="parameters", tooltip="The exact parameters of every operation, as JSON."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        video: Input.Video,
        preset: str,
        seed: int,
        scale: str = "1",
        drift: float = DegradeConfig.drift,
        codec: VideoCodec = FINE.codec,
        crf: int = FINE.crf,
    ) -> io.NodeOutput:
        """Degrade into a temporary file."""
        config = DegradeConfig(preset, seed, _SCALE_NAMES[scale], drift)
        job = DegradeJob(config, replace(FINE, codec=codec, crf=crf))
        output = passing_path(SUFFIX[codec])
        done = degrade_video(as_source(video), output, job, progress_reporter(cls), check_cancelled)
        return io.NodeOutput(VideoFile(Source(output)), done.degradation.text, done.degradation.to_json())


def _degradation() -> list[io.Input]:
    return [
        io.Combo.Input(
            "preset",
            options=list(PRESETS),
            default=DegradeConfig.preset,
            tooltip="The kind of footage. random is the chain that the networks are trained with: blur, resizing, "
            "noise, JPEG and video compression, twice over; light is a modern phone's.",
        ),
        io.Int.Input(
            "seed",
            default=DegradeConfig.seed,
            min=0,
            max=_LARGEST_SEED,
            control_after_generate=True,
            tooltip="Decides every parameter and all noise: the same seed degrades the same video in the same way.",
        ),
        io.Combo.Input(
            "scale",
            options=list(_SCALE_NAMES),
            default="1",
            optional=True,
            tooltip="1 keeps the size. 1/4 makes the low resolution half of a training pair.",
        ),
        io.Float.Input(
            "drift",
            default=DegradeConfig.drift,
            min=0.0,
            max=1.0,
            step=0.05,
            optional=True,
            tooltip="How far strengths wander over the video, within seconds: 0 not at all, 1 from half to double. "
            "Sizes and what a video encoder was told do not wander.",
        ),
    ]


def _result() -> list[io.Input]:
    return [
        codec_input(
            tooltip="Codec of the result. h264 adds very little to the damage at its default quality; ffv1 (mkv) adds "
            "nothing and is large."
        ),
        crf_input(FINE.crf),
    ]
