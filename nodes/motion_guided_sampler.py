"""ComfyUI's samplers on the frames of a video that are made to agree along its motion."""

from collections.abc import Callable, Iterator
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..core.diffusion.config import LENGTH, OVERLAP
from ..core.latents import WINDOW
from ..core.overlaps import CURVES, overlapping_windows
from .guidance_inputs import as_motion, guidance_inputs, motion_input, steer
from .host.window_sampler import SAMPLERS, SCHEDULERS, SampleConfig, WindowSampler, fit_latent, make_noise
from .latent_windows import Latent, cut_latent, frame_axis, frames_of, join
from .rescheduled_noise import NoiseSource
from .search_aliases import search_aliases

_RESCHEDULED, _OWN = "rescheduled", "own for every frame"


class MotionGuidedSampler(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_MotionGuidedSampler",
            display_name="Motion Guided Sampler",
            category="TextOVSR/diffusion",
            description="Samples the frames of a video with any model, sampler and scheduler of ComfyUI, and moves the "
            "latents at every step so that frames agree along the video's motion: less flicker from models that know "
            "only pictures. Long videos are sampled in windows that overlap and are stitched.",
            **search_aliases("OVSR_MotionGuidedSampler"),
            inputs=[*_what(), *_how(), *guidance_inputs(), *_windows()],
            outputs=[io.Latent.Output(display_name="latent", tooltip="As many frames as came in, without noise.")],
        )

    @classmethod
    def execute(
        cls, model: Any, positive: Any, negative: Any, latent_image: Latent, motion: Any, **settings: Any
    ) -> io.NodeOutput:
        """Sample window by window, and stitch."""
        latent = fit_latent(model, latent_image)
        total = frames_of(latent)
        length = settings["window_length"] or total
        places = overlapping_windows(total, length, min(settings["window_overlap"], length - 1))
        sampler = WindowSampler(model, [positive, negative], _config(settings), len(places), total)
        noise, source = _noise(latent, length, settings), as_motion(motion)

        def windows() -> Iterator[Tensor]:
            for place in places:
                window = cut_latent(latent, place)
                yield sampler.sample(place, window, noise(place), steer(window, source, settings))

        return io.NodeOutput({**latent, "samples": join(windows(), places, settings["curve"], frame_axis(latent))})


def _config(settings: dict[str, Any]) -> SampleConfig:
    names = ("scheduler", "steps", "cfg", "denoise", "seed")
    return SampleConfig(settings["sampler_name"], *(settings[name] for name in names))


def _noise(latent: Latent, length: int, settings: dict[str, Any]) -> Callable[[range], Tensor]:
    """The noise of some frames; rescheduled, it is made when it is asked for."""
    if settings["noise"] == _OWN:
        whole = make_noise(latent, settings["seed"])
        return lambda place: whole.narrow(frame_axis(latent), place.start, len(place))
    source = NoiseSource(settings["seed"], length, min(settings["window_overlap"], length - 1))
    # A window that came in is the whole of its own windows.
    plain = {key: value for key, value in latent.items() if key != WINDOW}
    return lambda place: source.generate_noise(cut_latent(plain, place))


def _what() -> list[io.Input]:
    return [
        io.Model.Input("model", tooltip="Any model of ComfyUI, with or without LoRA; SD1.5, SD2.1, SDXL, x4 upscaler."),
        io.Conditioning.Input(
            "positive", tooltip="What is to be seen. Hints of ControlNets may have one picture, or one for each frame."
        ),
        io.Conditioning.Input("negative", tooltip="What is not to be seen."),
        io.Latent.Input(
            "latent_image",
            tooltip="The frames of the video, in the batch or in a video model's latent; a noise mask too.",
        ),
        motion_input(),
    ]


def _how() -> list[io.Input]:
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=2**64 - 1,
            control_after_generate=True,
            tooltip="The same seed gives the same result.",
        ),
        io.Int.Input("steps", default=20, min=1, max=10_000, tooltip="Steps of the sampler."),
        io.Float.Input(
            "cfg", default=7.0, min=0.0, max=100.0, step=0.1, round=0.01, tooltip="How closely to follow the prompts."
        ),
        io.Combo.Input("sampler_name", options=list(SAMPLERS), default="euler", tooltip="A sampler of ComfyUI."),
        io.Combo.Input("scheduler", options=list(SCHEDULERS), default="normal", tooltip="A scheduler of ComfyUI."),
        io.Float.Input(
            "denoise",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Share of noise to start from: 1 starts from noise alone, 0.3 refines what is there.",
        ),
    ]


def _windows() -> list[io.Input]:
    return [
        io.Int.Input(
            "window_length",
            default=LENGTH,
            min=0,
            max=4096,
            tooltip="Latent frames that are sampled together; 0 is all of them. Memory grows with it.",
        ),
        io.Int.Input(
            "window_overlap",
            default=OVERLAP,
            min=0,
            max=4095,
            tooltip="Latent frames that neighbouring windows share and are blended over.",
        ),
        io.Combo.Input(
            "curve",
            options=list(CURVES),
            default="code",
            tooltip="How one window fades into the next: from 0.8 to 0.2 as in the code of DiffVSR, from 1 to 0 as in "
            "its paper, along a cosine, or not at all (cut).",
        ),
        io.Combo.Input(
            "noise",
            options=[_RESCHEDULED, _OWN],
            default=_RESCHEDULED,
            tooltip="rescheduled: every window starts from the same noise frames, in an order of the seed, so that "
            "windows become alike. Or noise of its own for every frame, as ComfyUI's samplers have it.",
        ),
    ]
