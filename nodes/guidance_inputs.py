"""The widgets of motion guidance, which the sampler and the wrapper of samplers share."""

from typing import Any, get_args

from comfy_api.latest import io

from ..core.diffusion.config import GUIDANCE_SCALE, PUBLISHED_SCALE, GuidanceConfig, GuidanceForm
from ..core.diffusion.steering import LAST_STEP, GuidanceSteps, MotionSteering
from ..core.motion.source import MotionSource, StreamedMotion
from .estimate_flow import FLOW, open_motion
from .latent_windows import Latent, frames_of, place_of


def motion_input() -> io.Input:
    """What frames follow."""
    return io.MultiType.Input(
        "motion",
        types=[FLOW, io.Video, io.Image],
        tooltip="The video that the latents were made from, whose motion frames follow: as it is, as an IMAGE batch, "
        "or as Estimate Flow gives it.",
    )


def as_motion(value: Any) -> MotionSource:
    """Whatever was connected, as something that tells how it moves."""
    return value if isinstance(value, StreamedMotion) else open_motion(value)


def guidance_inputs() -> list[io.Input]:
    """Strength, form and steps."""
    return [
        io.Float.Input(
            "guidance_scale",
            default=GUIDANCE_SCALE,
            min=0.0,
            max=1000.0,
            step=0.05,
            round=0.001,
            tooltip="How strongly frames are made to agree; 0 is not at all. corrected: 1 removes what changes from "
            f"frame to frame once a step, 2 twice. reference: the published factor is {PUBLISHED_SCALE:g}, for latents "
            "of 64x64.",
        ),
        io.Combo.Input(
            "mode",
            options=list(get_args(GuidanceForm)),
            default="corrected",
            tooltip="corrected compares frames by the flow that belongs to them and goes with every sampler and model. "
            "reference is what MGLD-VSR published, slips included, on the noisy latents after each step; it goes with "
            "samplers that ask the model once a step, such as ddpm and euler.",
        ),
        io.Int.Input(
            "start_step", default=0, min=0, max=LAST_STEP, tooltip="The first step that is guided, counted from 0."
        ),
        io.Int.Input("end_step", default=LAST_STEP, min=0, max=LAST_STEP, tooltip="Steps from here on are not guided."),
        io.Int.Input("every", default=1, min=1, max=LAST_STEP, tooltip="Guide one step in so many."),
        io.Boolean.Input(
            "keep_detail",
            default=True,
            tooltip="Raise the detail that frames agree on to the strength of what was there, so that pictures do not "
            "become softer. Of the corrected mode.",
        ),
    ]


def read_guidance(settings: dict[str, Any]) -> tuple[GuidanceConfig, GuidanceSteps]:
    """What the widgets say.

    Raises:
        SettingError: it makes no sense.
    """
    config = GuidanceConfig(settings["mode"], settings["guidance_scale"], settings["keep_detail"])
    return config, GuidanceSteps(settings["start_step"], settings["end_step"], settings["every"])


def steer(latent: Latent, source: MotionSource, settings: dict[str, Any]) -> MotionSteering | None:
    """Guidance for a LATENT, which may be a window of a longer one, along the motion of the whole.

    Returns:
        None where there is nothing to guide: one frame, or a scale of 0.

    Raises:
        SettingError: the motion is that of a shorter video, or a setting makes no sense.
    """
    config, steps = read_guidance(settings)
    count = frames_of(latent)
    place, total = place_of(latent) or (range(count), count)
    if count == 1 or config.scale == 0:
        return None
    height, width = latent["samples"].shape[-2:]
    motion = source.between(place.start, place.stop, (height, width), _frames_per_latent(latent, source, total))
    return MotionSteering(motion, config, steps)


def _frames_per_latent(latent: Latent, source: MotionSource, total: int) -> int:
    """1 for models of pictures; of video models, a latent frame stands for several, the first one for itself."""
    if latent["samples"].ndim == 4 or total == 1:
        return 1
    return max(round((source.length - 1) / (total - 1)), 1)
