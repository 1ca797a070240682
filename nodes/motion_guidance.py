"""Motion guidance for ComfyUI's custom sampling: a SAMPLER that is steered along a video's motion."""

from typing import Any

from comfy_api.latest import io

from .guidance_inputs import as_motion, guidance_inputs, motion_input, steer
from .host.sampling import SteeredSampler
from .latent_windows import Latent
from .search_aliases import search_aliases


class MotionGuidance(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_MotionGuidance",
            display_name="Motion Guidance",
            category="TextOVSR/diffusion",
            description="Makes of any SAMPLER one that moves the latents at every step so that the frames of a video "
            "agree along its motion, for SamplerCustom and SamplerCustomAdvanced with the guider, noise and sigmas "
            "that you like. Motion Guided Sampler does it all in one node.",
            **search_aliases("OVSR_MotionGuidance"),
            inputs=[
                io.Sampler.Input("sampler", tooltip="From KSamplerSelect, or from any other pack."),
                io.Latent.Input(
                    "latent_image",
                    tooltip="What will be sampled: the frames of a video, or a window from Split Windows. It tells "
                    "which frames, and how large they are.",
                ),
                motion_input(),
                *guidance_inputs(),
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip="The same sampler, steered.")],
        )

    @classmethod
    def execute(cls, sampler: Any, latent_image: Latent, motion: Any, **settings: Any) -> io.NodeOutput:
        """Find the motion of these frames; the rest happens while sampling."""
        steering = steer(latent_image, as_motion(motion), settings)
        return io.NodeOutput(sampler if steering is None else SteeredSampler(sampler, steering))
