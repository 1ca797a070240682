"""How a video moves: for the nodes that follow it, and to look at."""

import torch
from comfy_api.latest import Input, io

from ..core.config import CUT_THRESHOLD
from ..core.motion.config import MOTION_FINER, PREVIEW_FRAMES, MotionConfig
from ..core.motion.networks import SHIPPED_FLOW, list_flow_nets
from ..core.motion.preview import preview_flow
from ..core.motion.source import ImageMotion, StreamedMotion, VideoMotion
from .common_inputs import cut_threshold_input
from .host.folders import flow_folders
from .host.models import loaded_flow
from .host.progress import check_cancelled, frame_reporter
from .search_aliases import search_aliases
from .video_file import as_source

FLOW = io.Custom("OVSR_FLOW")
"""The socket of a ``core.motion.source.MotionSource``."""

_MOST_FRAMES = 256


class EstimateFlow(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_EstimateFlow",
            display_name="Estimate Flow",
            category="TextOVSR/diffusion",
            description="Finds how a video moves, forwards and backwards, and what is hidden in the next frame. The "
            "flow of any part is found when a node asks for it, so any length works; the first frames are shown.",
            **search_aliases("OVSR_EstimateFlow"),
            inputs=[
                io.MultiType.Input(
                    "video",
                    types=[io.Video, io.Image],
                    tooltip="The video whose motion is looked for, read frame by frame; or a batch of images.",
                ),
                *_looking(),
                io.Int.Input(
                    "preview_frames",
                    default=PREVIEW_FRAMES,
                    min=1,
                    max=_MOST_FRAMES,
                    optional=True,
                    tooltip="How many frames are looked at for the preview; 1 looks at none.",
                ),
            ],
            outputs=[
                FLOW.Output(display_name="flow", tooltip="The motion of any part of the video, found when asked for."),
                io.Image.Output(
                    display_name="preview",
                    tooltip="Colour is direction: right is red, left cyan, down green, up violet; stronger is faster, "
                    "white still, black hidden in the next frame. One scale for all pictures.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        video: Input.Video | torch.Tensor,
        network: str = SHIPPED_FLOW,
        finer: str = str(MOTION_FINER),
        cut_threshold: float = CUT_THRESHOLD,
        preview_frames: int = PREVIEW_FRAMES,
    ) -> io.NodeOutput:
        """Open the video; look at its first frames."""
        source = open_motion(video, network, MotionConfig(finer=int(finer), cut_threshold=cut_threshold))
        pictures = preview_flow(source, frame_reporter(cls), preview_frames)
        return io.NodeOutput(source, pictures.movedim(1, -1))  # (N,C,H,W) -> (N,H,W,C)


def open_motion(
    video: Input.Video | torch.Tensor, network: str = SHIPPED_FLOW, config: MotionConfig | None = None
) -> StreamedMotion:
    """The motion of a VIDEO or an IMAGE batch (T,H,W,C), whose network ComfyUI loads when it is asked for.

    Args:
        video: what moves.
        network: from ``list_flow_nets``.
        config: how motion is found; None is by default.
    """
    config = config or MotionConfig()
    if isinstance(video, torch.Tensor):
        images = video[..., :3].movedim(-1, 1)  # (T,H,W,C) -> (T,C,H,W)
        return ImageMotion(images, lambda: loaded_flow(network), config, check_cancelled)
    return VideoMotion(as_source(video), lambda: loaded_flow(network), config, check_cancelled)


def _looking() -> list[io.Input]:
    return [
        io.Combo.Input(
            "network",
            options=list_flow_nets(flow_folders()),
            default=SHIPPED_FLOW,
            optional=True,
            tooltip="What finds the flow. Besides the shipped one: RAFT, large or small, in models/optical_flow or "
            "models/textovsr, from torchvision, from its authors, or inside MGLD-VSR's checkpoint.",
        ),
        io.Combo.Input(
            "finer",
            options=["1", "2", "4", "8"],
            default=str(MOTION_FINER),
            optional=True,
            tooltip="How many times finer than the latents motion is looked for. 2 is good and quick; more finds "
            "smaller things, and takes four times as long at every step.",
        ),
        cut_threshold_input("nothing is followed across it."),
    ]
