"""Text-guided upscaling of a video."""

from typing import Any

import torch
from comfy_api.latest import Input, io

from ..core.config import (
    CUT_THRESHOLD,
    FIDELITY,
    LOOK_AHEAD,
    EncodeConfig,
    RecurrentConfig,
    ResultConfig,
)
from ..core.job import Job
from .common_inputs import codec_input, color_fix_input, crf_input, cut_threshold_input
from .host.folders import weights_names
from .host.models import loaded_restorer
from .restoring import VIDEO_OR_IMAGES, restore
from .search_aliases import search_aliases

_AUTOMATIC = -1


class TextOVSRUpscale(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_TextOVSRUpscale",
            display_name="TextOVSR Upscale",
            category="TextOVSR/restore",
            description="Restores and upscales real-world video four times: old, noisy or compressed footage. Works "
            "frame by frame in constant memory; sound, subtitles and exact times are kept.",
            **search_aliases("OVSR_TextOVSRUpscale"),
            inputs=[
                io.MultiType.Input(
                    "video",
                    types=[io.Video, io.Image],
                    tooltip="The video to restore, read frame by frame. A batch of images works too, for short clips.",
                ),
                *_guidance(),
                *_result(),
                *_running(),
                *_newer(),
            ],
            outputs=[VIDEO_OR_IMAGES.Output(display_name="video", tooltip="The kind that came in.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, video: Input.Video | torch.Tensor, weights: str, **settings: Any) -> io.NodeOutput:
        """Run the pipeline into a temporary file, or over the batch."""
        config, job = _read(settings)
        restorer = loaded_restorer(weights, config, settings.get("fidelity", FIDELITY))
        return io.NodeOutput(restore(cls, video, restorer, job))


def _guidance() -> list[io.Input]:
    return [
        io.Combo.Input(
            "weights",
            options=weights_names(),
            tooltip="The trained network. The first ones ship with the pack; your own go into models/textovsr.",
        ),
        io.String.Input(
            "caption",
            multiline=True,
            default="",
            optional=True,
            tooltip="What is to be seen. Plain text, or WebVTT for one text per shot. May stay empty.",
        ),
        io.String.Input(
            "degradation_text",
            multiline=True,
            default="",
            optional=True,
            tooltip="What is wrong with it, for example: heavy blur, medium noise, heavy video compression. Plain text "
            "or WebVTT. May stay empty.",
        ),
    ]


def _result() -> list[io.Input]:
    return [
        io.Combo.Input(
            "scale",
            options=["4", "2"],
            default="4",
            optional=True,
            tooltip="Times larger; 2 averages the result of 4.",
        ),
        io.Int.Input(
            "target_height",
            default=ResultConfig.height,
            min=0,
            max=16384,
            optional=True,
            tooltip="Height of the result in pixels, instead of the scale; 0 follows the scale.",
        ),
        color_fix_input(),
        codec_input(),
        crf_input(),
    ]


def _running() -> list[io.Input]:
    return [
        io.Float.Input(
            "cleaning_threshold",
            default=RecurrentConfig.cleaning_threshold,
            min=0.0,
            max=255.0,
            step=0.5,
            optional=True,
            tooltip="Cleans noise again, up to three times, while the mean correction (of 255) is at least this. 255 "
            "cleans once; try 5 for very noisy footage.",
        ),
        io.Int.Input(
            "window",
            default=RecurrentConfig.window,
            min=0,
            max=512,
            optional=True,
            tooltip="Frames a window; 0 is automatic.",
        ),
        io.Int.Input(
            "look_ahead",
            default=_AUTOMATIC,
            min=_AUTOMATIC,
            max=128,
            optional=True,
            tooltip=f"Frames looked at beyond a window; -1 is automatic ({LOOK_AHEAD}, fewer when memory is short).",
        ),
        io.Int.Input(
            "tile",
            default=RecurrentConfig.tile,
            min=0,
            max=4096,
            step=32,
            optional=True,
            tooltip="Side of a tile in input pixels; 0 is automatic. Tiles change the memory, not the picture.",
        ),
    ]


def _newer() -> list[io.Input]:
    """Saved workflows know widgets by their place, so that new ones come last."""
    return [
        io.Combo.Input(
            "bit_depth",
            options=["source", "8", "10"],
            default="source",
            optional=True,
            tooltip="Bits a sample of the result. HDR needs 10, which is what it gets by default.",
        ),
        io.Boolean.Input(
            "hardware",
            default=EncodeConfig.hardware,
            optional=True,
            tooltip="Encode h264, hevc or av1 on the graphics card: quicker, a little larger. An error says so if "
            "there is no such encoder.",
        ),
        cut_threshold_input(
            "nothing is carried from one shot to the next. Raise it if cuts are found where there are none;"
        ),
        io.Float.Input(
            "fidelity",
            default=FIDELITY,
            min=0.0,
            max=1.0,
            step=0.05,
            optional=True,
            display_mode=io.NumberDisplay.slider,
            tooltip="For weights with two ends, NAME and NAME-detail beside it: 1 invents nothing, towards 0 edges and "
            "textures become crisper. textovsr-lite and textovsr-base have both.",
        ),
    ]


def _read(settings: dict[str, Any]) -> tuple[RecurrentConfig, Job]:
    """Widgets to configurations; an optional widget that is absent keeps the default."""
    chosen = dict(settings)
    look_ahead = chosen.pop("look_ahead", _AUTOMATIC)
    running = {key: chosen[key] for key in ("cleaning_threshold", "window", "tile") if key in chosen}
    config = RecurrentConfig(look_ahead=None if look_ahead == _AUTOMATIC else look_ahead, **running)
    result = ResultConfig(
        scale=int(chosen.get("scale", ResultConfig.scale)),
        height=chosen.get("target_height", ResultConfig.height),
        color_fix=chosen.get("color_fix", ResultConfig.color_fix),
    )
    depth = chosen.get("bit_depth", "source")
    encode = EncodeConfig(
        codec=chosen.get("codec", EncodeConfig.codec),
        crf=chosen.get("crf", EncodeConfig.crf),
        bit_depth=0 if depth == "source" else int(depth),
        hardware=chosen.get("hardware", EncodeConfig.hardware),
    )
    texts = chosen.get("caption", ""), chosen.get("degradation_text", "")
    return config, Job(*texts, result, encode, chosen.get("cut_threshold", CUT_THRESHOLD))
