"""Diffusion systems for video super-resolution through the one pipeline."""

from dataclasses import fields
from typing import Any

import torch
from comfy_api.latest import Input, io

from ..core.config import CUT_THRESHOLD, EncodeConfig, ResultConfig
from ..core.diffusion.config import GUIDANCE_SCALE, LEVEL_MODES
from ..core.job import Job
from ..core.restorers.settings import DIFFUSION_SEGMENT, DiffusionSettings
from ..core.restorers.systems import make_diffusion_restorer
from ..models.published import SYSTEMS, choices
from .common_inputs import codec_input, color_fix_input, crf_input, cut_threshold_input
from .host.models import loaded_parts
from .host.progress import step_reporter
from .restoring import VIDEO_OR_IMAGES, restore
from .search_aliases import search_aliases

_TITLES = [choice.title for system in SYSTEMS for choice in choices(system)]
_SETTINGS = tuple(field.name for field in fields(DiffusionSettings))


class DiffusionRestore(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_DiffusionRestore",
            display_name="Diffusion Restore",
            category="TextOVSR/restore",
            description="Restores and upscales video four times with a published diffusion system: slow, and it makes "
            "up detail. Any length, window by window; sound, subtitles and exact times are kept. The weights are not "
            "part of the pack: see Diffusion Weights.",
            **search_aliases("OVSR_DiffusionRestore"),
            inputs=[
                io.MultiType.Input(
                    "video",
                    types=[io.Video, io.Image],
                    tooltip="The video to restore, read frame by frame. A batch of images works too, for short clips.",
                ),
                *_what(),
                *_systems_own(),
                *_result(),
                *_running(),
            ],
            outputs=[VIDEO_OR_IMAGES.Output(display_name="video", tooltip="The kind that came in.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, video: Input.Video | torch.Tensor, system: str, **settings: Any) -> io.NodeOutput:
        """Run the pipeline into a temporary file, or over the batch."""
        parts = loaded_parts(system)
        chosen = DiffusionSettings(**{key: settings[key] for key in _SETTINGS if key in settings})
        restorer = make_diffusion_restorer(system, parts, chosen, parts.memory)
        restorer.tell_step = step_reporter(cls)
        return io.NodeOutput(restore(cls, video, restorer, _job(settings)))


def _job(settings: dict[str, Any]) -> Job:
    result = ResultConfig(scale=int(settings.get("scale", 4)), color_fix=settings.get("color_fix", "none"))
    encode = EncodeConfig(codec=settings.get("codec", EncodeConfig.codec), crf=settings.get("crf", EncodeConfig.crf))
    cuts = settings.get("cut_threshold", CUT_THRESHOLD)
    return Job(settings.get("caption", ""), "", result, encode, cuts, segment=DIFFUSION_SEGMENT)


def _what() -> list[io.Input]:
    return [
        io.Combo.Input(
            "system",
            options=_TITLES,
            tooltip="The published system. Its files are found in your model folders; Diffusion Weights says what is "
            "missing.",
        ),
        io.String.Input(
            "caption",
            multiline=True,
            default="",
            optional=True,
            tooltip="What is to be seen. Plain text, or WebVTT for one text per shot, as from LLaVA Caption. May stay "
            "empty.",
        ),
        io.Int.Input(
            "seed",
            default=DiffusionSettings.seed,
            min=0,
            max=2**32 - 1,
            optional=True,
            control_after_generate=True,
            tooltip="The same seed gives the same result, also after a restart in the middle.",
        ),
        io.Int.Input(
            "steps",
            default=DiffusionSettings.steps,
            min=0,
            max=500,
            optional=True,
            tooltip="Steps of the sampler; time grows with them. 0 is the system's own number: 15 for STAR, else 50.",
        ),
    ]


def _systems_own() -> list[io.Input]:
    return [
        io.Float.Input(
            "motion_guidance",
            default=DiffusionSettings.motion_guidance,
            min=-1.0,
            max=10.0,
            step=0.05,
            optional=True,
            tooltip="MGLD-VSR, SDATC: how strongly frames are made to agree along the motion; 0 is not at all, -1 the "
            f"system's own: {GUIDANCE_SCALE:g}.",
        ),
        io.Float.Input(
            "fidelity",
            default=DiffusionSettings.fidelity,
            min=-1.0,
            max=1.0,
            step=0.05,
            optional=True,
            tooltip="MGLD-VSR, SDATC: how much the input's own features lead the decoder; 1 keeps closest to the "
            "footage, -1 is the system's own: 1 and 0.75.",
        ),
        io.Int.Input(
            "least_side",
            default=DiffusionSettings.least_side,
            min=64,
            max=1024,
            step=64,
            optional=True,
            tooltip="MGLD-VSR: the shorter side it works at, at least, in pixels of the result; small videos are "
            "enlarged further and brought back. Less is quicker, and worse.",
        ),
        io.Float.Input(
            "cfg",
            default=DiffusionSettings.cfg,
            min=0.0,
            max=30.0,
            step=0.1,
            optional=True,
            tooltip="DiffVSR, STAR: how far to go from the negative text towards the caption; 1 is the caption alone, "
            "0 the system's own: 5, 7.5, and 6 for STAR-CogVideoX.",
        ),
        io.Int.Input(
            "noise_level",
            default=DiffusionSettings.noise_level,
            min=0,
            max=350,
            optional=True,
            tooltip="DiffVSR: noise that is added to the input; more leaves more to be made up.",
        ),
        io.Combo.Input(
            "mode",
            options=list(LEVEL_MODES),
            default=DiffusionSettings.mode,
            optional=True,
            tooltip="STAR: how the steps are spread: fast spends fewer of them on the most noise.",
        ),
        io.Boolean.Input(
            "published",
            default=DiffusionSettings.published,
            optional=True,
            tooltip="Do what the published code does, its segments, tiles and slips, instead of what we hold for "
            "better: for comparisons.",
        ),
    ]


def _result() -> list[io.Input]:
    return [
        io.Combo.Input("scale", options=["4", "2"], default="4", optional=True, tooltip="Times larger; 2 averages 4."),
        color_fix_input(further=" MGLD-VSR, STAR and SDATC do adain by themselves."),
        codec_input(),
        crf_input(),
    ]


def _running() -> list[io.Input]:
    return [
        io.Int.Input(
            "overlap",
            default=DiffusionSettings.overlap,
            min=-1,
            max=24,
            optional=True,
            tooltip="Frames that windows share and are blended over; -1 is the system's own: 2 of 5 (MGLD-VSR, SDATC), "
            "4 of 8 (DiffVSR), 8 of 32 (STAR), 8 of 25 (STAR-CogVideoX).",
        ),
        io.Int.Input(
            "tile",
            default=DiffusionSettings.tile,
            min=0,
            max=4096,
            step=64,
            optional=True,
            tooltip="Side of a tile in pixels of the result; 0 is automatic, by the memory.",
        ),
        cut_threshold_input("nothing is carried from one shot to the next."),
        io.String.Input(
            "options",
            default=DiffusionSettings.options,
            optional=True,
            tooltip="Any other setting of the system by its name, such as: curve=cut, context=0. A wrong name lists "
            "all there are; the help page says what they do.",
        ),
    ]
