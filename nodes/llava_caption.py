"""What is to be seen in a video, written by a LLaVA or by the user."""

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any, get_args

from comfy_api.latest import Input, io

from ..core.config import CUT_THRESHOLD
from ..core.job import Progress, Source
from ..core.text.caption import BATCH, caption_source, settle_captions
from ..core.text.frames import SceneConfig
from ..core.text.vlm import AskConfig
from ..core.text.vlm_download import REPOSITORY, SUGGESTED, download_vlm
from ..core.text.vlm_folders import AUTO, Precision, find_vlm
from ..core.text.vtt import write_text
from .common_inputs import cut_threshold_input
from .host.folders import vlm_folders, vlm_names
from .host.frames_route import shown_file
from .host.models import loaded_vlm
from .host.outputs import captions_path, prefix_fault
from .host.passing import for_canvas
from .host.progress import check_cancelled, progress_reporter, show_text
from .search_aliases import search_aliases
from .video_file import as_source

logger = logging.getLogger(__name__)

_SHOWN = 2000
"""Letters of the captions that are shown on the node."""


class LLaVACaption(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_LLaVACaption",
            display_name="LLaVA Caption",
            category="TextOVSR/text",
            description="Says, shot by shot, what is to be seen in a video: a LLaVA or another vision-language model "
            "looks at the sharpest frame of each shot. Or takes your own captions, without any model. The captions are "
            "also saved as a .vtt file in the output folder. Connect them to caption of TextOVSR Upscale.",
            **search_aliases("OVSR_LLaVACaption"),
            inputs=[
                io.Video.Input("video", tooltip="The video to look at. It is read frame by frame: any length works."),
                *_words(),
                *_looking(),
                *_answering(),
                *_computing(),
                *_fetching(),
            ],
            outputs=[io.String.Output(display_name="captions", tooltip="WebVTT: one text per shot.")],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        """Say before the run that the prefix leads out of the output folder; without one the video's name is taken."""
        return prefix_fault((filename_prefix or "").strip() or None)

    @classmethod
    def execute(
        cls, video: Input.Video, captions: str = "", filename_prefix: str = "", **settings: Any
    ) -> io.NodeOutput:
        """Take the user's captions, or ask the model for some; save them."""
        source = as_source(video)
        text = settle_captions(captions, source) if captions.strip() else _ask(cls, source, settings)
        path = captions_path(filename_prefix.strip(), source.path, text)
        path.write_bytes(text.encode())
        count = text.count("-->")
        show_text(cls, f"{count} caption{'s' if count != 1 else ''}, saved as {path.name}\n\n{text[:_SHOWN]}")
        shown = shown_file(for_canvas(source.path))
        video_shown = None if shown is None else {**shown, "deinterlace": source.deinterlace, "start": source.start}
        return io.NodeOutput(text, ui={"text": [text], "captioned": [{"video": video_shown}]})


def _ask(node: type[io.ComfyNode], source: Source, settings: dict[str, Any]) -> str:
    scenes = SceneConfig(
        frames=settings.get("frames_per_shot", SceneConfig.frames),
        every=settings.get("every", SceneConfig.every),
        cut_threshold=settings.get("cut_threshold", CUT_THRESHOLD),
    )
    names = ("prompt", "max_tokens", "temperature", "seed")
    ask = AskConfig(**{name: settings[name] for name in names if name in settings})
    folder = _folder(node, settings)
    show, began = progress_reporter(node), time.monotonic()

    def report(done: int, total: int | None, newest: Input.Image) -> None:
        check_cancelled()
        show(Progress(done, total, time.monotonic() - began, newest))

    with loaded_vlm(folder, settings.get("precision", "auto"), settings.get("keep_loaded", False)) as model:
        captioner = partial(model.caption, ask=ask, check=check_cancelled)
        return write_text(caption_source(source, captioner, scenes, report, settings.get("batch", BATCH)))


def _folder(node: type[io.ComfyNode], settings: dict[str, Any]) -> Path:
    """The model's folder, downloaded if the user agreed to that."""

    def told(sentence: str) -> None:
        logger.info("%s", sentence)
        show_text(node, sentence)

    name = settings.get("model", AUTO)
    if name == AUTO and settings.get("download", False):
        return download_vlm(settings.get("repository", REPOSITORY).strip(), vlm_folders()[0], told, check_cancelled)
    return find_vlm(name, vlm_folders())


def _words() -> list[io.Input]:
    return [
        io.Combo.Input(
            "model",
            options=[AUTO, *vlm_names()],
            default=AUTO,
            tooltip="The model that looks: folders in models/LLM, models/LLavacheckpoints and models/textovsr, also "
            "those of extra_model_paths.yaml. auto takes the first one.",
        ),
        io.String.Input(
            "captions",
            multiline=True,
            default="",
            optional=True,
            tooltip="Your own captions, which are taken instead of a model's: plain text, or WebVTT for one text per "
            "shot. To correct a model's captions, paste them here and edit them.",
        ),
        io.String.Input(
            "prompt",
            multiline=True,
            default=AskConfig.prompt,
            optional=True,
            tooltip="What the model is asked. Detailed captions help more than short ones; the upscaler reads about 50 "
            "words of caption and degradation text together.",
        ),
    ]


def _looking() -> list[io.Input]:
    return [
        io.Float.Input(
            "every",
            default=SceneConfig.every,
            min=0.0,
            max=3600.0,
            step=0.5,
            optional=True,
            tooltip="A caption also every so many seconds within a shot; 0 writes one caption per shot.",
        ),
        io.Int.Input(
            "frames_per_shot",
            default=SceneConfig.frames,
            min=1,
            max=16,
            optional=True,
            tooltip="Pictures the model sees of a shot: the sharpest ones, spread over it. More than 1 is for models "
            "that were trained with several, such as LLaVA-OneVision.",
        ),
        cut_threshold_input("every shot gets a caption of its own."),
    ]


def _answering() -> list[io.Input]:
    return [
        io.Int.Input(
            "max_tokens",
            default=AskConfig.max_tokens,
            min=1,
            max=1024,
            optional=True,
            tooltip="The longest caption, in the model's tokens; one that is cut there ends with its last sentence.",
        ),
        io.Float.Input(
            "temperature",
            default=AskConfig.temperature,
            min=0.0,
            max=2.0,
            step=0.05,
            optional=True,
            tooltip="0 always writes the likeliest words; above it they are drawn, more freely the higher it is.",
        ),
        io.Int.Input(
            "seed",
            default=AskConfig.seed,
            min=0,
            max=2**63 - 1,
            optional=True,
            tooltip="Of the draws; without effect at temperature 0.",
        ),
    ]


def _computing() -> list[io.Input]:
    return [
        io.Combo.Input(
            "precision",
            options=list(get_args(Precision)),
            default="auto",
            optional=True,
            tooltip="auto: bfloat16 or float16 on a graphics card; on a processor float32, or bfloat16 if memory is "
            "short. 4-bit needs a quarter of the memory, and the packages bitsandbytes and accelerate.",
        ),
        io.Int.Input(
            "batch",
            default=BATCH,
            min=1,
            max=64,
            optional=True,
            tooltip="Shots that are captioned at once; halved by itself when memory runs out.",
        ),
        io.Boolean.Input(
            "keep_loaded",
            default=False,
            optional=True,
            tooltip="Hold the model in main memory after the run. It leaves the graphics card in any case.",
        ),
    ]


def _fetching() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "download",
            default=False,
            optional=True,
            tooltip="Your consent: with model auto, fetch the repository from Hugging Face into models/LLM if it is "
            "not there yet. Its size and licence are shown first; a broken download goes on, hashes are checked.",
        ),
        io.String.Input(
            "repository",
            default=REPOSITORY,
            optional=True,
            tooltip="What download fetches, for example: " + "; ".join(f"{name} ({what})" for name, what in SUGGESTED),
        ),
        io.String.Input(
            "filename_prefix",
            default="",
            optional=True,
            tooltip="Folder and beginning of the name of the .vtt file inside the output folder; empty is the video's "
            "name.",
        ),
    ]
