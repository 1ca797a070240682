"""What is wrong with a video, in words that the upscaler takes."""

from comfy_api.latest import Input, io

from ..core.config import CUT_THRESHOLD, FRAMES_PER_SHOT
from ..core.degrade.describe import DescribeConfig, describe_source
from ..core.degrade.estimator import load_estimator
from .common_inputs import cut_threshold_input
from .host.progress import frame_reporter
from .search_aliases import search_aliases
from .video_file import as_source


class DegradationText(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_DegradationText",
            display_name="Degradation Text",
            category="TextOVSR/text",
            description="Looks at a video and says, shot by shot, how it was spoilt: blur, enlarging, noise, JPEG and "
            "video compression. Connect the text to degradation_text of TextOVSR Upscale.",
            **search_aliases("OVSR_DegradationText"),
            inputs=[
                io.Video.Input("video", tooltip="The video to judge. It is read frame by frame, so any length works."),
                io.Int.Input(
                    "frames_per_shot",
                    default=FRAMES_PER_SHOT,
                    min=1,
                    max=64,
                    optional=True,
                    tooltip="Places in a shot that are looked at. More are surer and slower.",
                ),
                cut_threshold_input("every shot gets a text of its own."),
            ],
            outputs=[
                io.String.Output(display_name="degradation_text", tooltip="WebVTT: one text per shot."),
                io.String.Output(display_name="overall", tooltip="One text for the whole video."),
                io.String.Output(display_name="table", tooltip="How sure it is: the probability of every level."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, video: Input.Video, frames_per_shot: int = FRAMES_PER_SHOT, cut_threshold: float = CUT_THRESHOLD
    ) -> io.NodeOutput:
        """Read the video once."""
        config = DescribeConfig(frames_per_shot, cut_threshold)
        found = describe_source(as_source(video), load_estimator(), config, frame_reporter(cls))
        return io.NodeOutput(found.webvtt, found.overall.text, found.table)
