"""``textovsr caption``: what is to be seen in a video."""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..core.config import CUT_THRESHOLD, DEVICE, Deinterlace
from ..core.errors import SettingError
from ..core.existing import check_folder
from .common import Outcome, check_output, given, seconds
from .process import say
from .progress import ProgressLine
from .weights import WEIGHTS_FOLDERS, weights_folders

if TYPE_CHECKING:
    from ..core.job import Source
    from ..core.text.vtt import Cue

_PRECISIONS = ("auto", "bfloat16", "float16", "float32", "4-bit")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", default=None, help="write the WebVTT there, instead of printing it"
    )
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace FILE if it exists")
    _add_model(parser)
    _add_question(parser)
    group = parser.add_argument_group("what a caption is for")
    group.add_argument("--every", type=seconds, metavar="SECONDS", help="also so often within a shot")
    group.add_argument("--frames", type=int, metavar="N", help="pictures of a shot that are looked at (default 1)")
    group.add_argument(
        "--cut-threshold", type=float, metavar="SCORE", help=f"how sure a cut must be (default {CUT_THRESHOLD:g})"
    )
    group.add_argument("--start", type=seconds, metavar="SECONDS", help="skip the beginning")
    group.add_argument("--duration", type=seconds, metavar="SECONDS", help="take no more than this")
    group.add_argument("--deinterlace", choices=get_args(Deinterlace), help="as for upscale (default auto)")
    parser.add_argument("--quiet", action="store_true", default=False, help="no progress")


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="FOLDER",
        default="auto",
        help="of a LLaVA or its like, or the name of one in the folders of TEXTOVSR_WEIGHTS (default: the first there)",
    )
    group.add_argument(
        "--download",
        metavar="REPOSITORY",
        default=None,
        help="fetch it from Hugging Face into the first folder of TEXTOVSR_WEIGHTS, unless it is there; for example "
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    )
    group.add_argument("--precision", choices=_PRECISIONS, default="auto", help="what it computes in (default auto)")
    group.add_argument("--device", default=DEVICE, help="cpu, cuda, cuda:1, mps (default %(default)s)")
    group.add_argument("--batch", type=int, metavar="N", help="shots that are captioned at once (default 4)")


def _add_question(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("question")
    group.add_argument("--prompt", metavar="TEXT", help="what the model is asked (default: a detailed description)")
    group.add_argument("--max-tokens", type=int, metavar="N", help="the longest caption (default 128)")
    group.add_argument("--temperature", type=float, metavar="T", help="0 draws nothing (default)")
    group.add_argument("--seed", type=int, help="of the draws")


def run(options: argparse.Namespace) -> Outcome:
    """Caption a video."""
    if options.output is not None:
        check_folder(options.output)
        check_output(options.output, [options.input], options.overwrite)
    from ..core.job import Source
    from ..core.text.vtt import write_text
    from ..core.video.probe import probe

    source = given(Source, options, path=options.input)
    probe(source.path)  # a video that cannot be read is said before a model is loaded
    cues = _captions(source, options)
    text = write_text(cues)
    values = {"captions": [{"start": cue.start, "end": cue.end, "text": cue.text} for cue in cues], "webvtt": text}
    if options.output is None:
        return Outcome(values, text.rstrip("\n"))
    options.output.write_bytes(text.encode())
    said = f"{options.output}: {len(cues)} caption{'s' if len(cues) != 1 else ''}"
    return Outcome({**values, "path": str(options.output)}, "" if options.quiet else said)


def _captions(source: "Source", options: argparse.Namespace) -> list["Cue"]:
    from ..core.device import pick_device
    from ..core.job import Progress
    from ..core.text.caption import BATCH, caption_source
    from ..core.text.frames import SceneConfig
    from ..core.text.vlm import AskConfig
    from ..core.text.vlm_folders import load_vlm

    scenes, ask = given(SceneConfig, options), given(AskConfig, options)
    model = load_vlm(_folder(options), pick_device(options.device), options.precision)
    line, began = ProgressLine(sys.stderr, silent=options.quiet), time.monotonic()

    def report(done: int, total: int | None, newest: Any) -> None:
        line(Progress(done, total, time.monotonic() - began, newest))

    try:
        captioner = partial(model.caption, ask=ask)
        return list(caption_source(source, captioner, scenes, report, getattr(options, "batch", BATCH)))
    finally:
        line.close()


def _folder(options: argparse.Namespace) -> Path:
    from ..core.text.vlm_download import download_vlm
    from ..core.text.vlm_folders import find_vlm

    if options.download is None:
        named = Path(options.model).expanduser()
        return named if named.is_dir() else find_vlm(options.model, weights_folders())
    if not weights_folders():
        raise SettingError(
            f"Expected a folder for the model, got none; name one in the environment variable {WEIGHTS_FOLDERS}."
        )

    def told(sentence: str) -> None:
        if not options.quiet:
            say(sentence, sys.stderr)

    return download_vlm(options.download, weights_folders()[0], told)
