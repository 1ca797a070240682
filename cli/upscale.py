"""``textovsr upscale``: a video, four times larger."""

import argparse
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ..core.config import (
    CUT_THRESHOLD,
    DEVICE,
    FIDELITY,
    LOOK_AHEAD,
    ColorFix,
    Deinterlace,
    EncodeConfig,
    Precision,
    RecurrentConfig,
    ResultConfig,
    Speedup,
    VideoCodec,
)
from ..core.restorers.settings import DIFFUSION_SEGMENT
from ..models.catalog import SHIPPED
from . import cluster, diffusion
from .common import Outcome, check_output, given, seconds
from .progress import ProgressLine
from .weights import find

if TYPE_CHECKING:
    import torch

    from ..core.job import Restored
    from ..core.pipeline import Order
    from ..core.restorer import Restorer


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video to restore")
    parser.add_argument(
        "output", type=Path, metavar="OUT", help="the file to write; its suffix is the container. A folder for png"
    )
    parser.set_defaults(interrupted=_interrupted)
    _add_source(parser)
    _add_guidance(parser)
    _add_result(parser)
    _add_running(parser)
    cluster.add_options(parser)
    diffusion.add_options(parser)


def _add_source(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("source")
    group.add_argument("--start", type=seconds, metavar="SECONDS", help="skip the beginning")
    group.add_argument("--duration", type=seconds, metavar="SECONDS", help="take no more than this")
    group.add_argument(
        "--deinterlace", choices=get_args(Deinterlace), help="make whole pictures of two fields (default auto)"
    )
    group.add_argument("--strict", action="store_true", help="stop at damage, instead of keeping the good frames")
    group.add_argument(
        "--cut-threshold",
        type=float,
        metavar="SCORE",
        help=f"how sure a cut must be; nothing is carried across one (default {CUT_THRESHOLD:g}; 1 finds none)",
    )


def _add_guidance(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("guidance; a text is plain or WebVTT, and @FILE reads it from a file")
    group.add_argument(
        "--weights", metavar="NAME", help=f"see `textovsr weights`; or a file (default {SHIPPED[0].name})"
    )
    group.add_argument(
        "--fidelity",
        type=float,
        metavar="SHARE",
        help=f"1: invent nothing; towards 0: crisper, for weights with two ends (default {FIDELITY:g})",
    )
    group.add_argument("--caption", type=_text, metavar="TEXT", help="what is to be seen")
    group.add_argument(
        "--degradation", type=_text, metavar="TEXT", help="what is wrong, such as: heavy blur, light noise"
    )


def _add_result(parser: argparse.ArgumentParser) -> None:
    group, kinds = parser.add_argument_group("result"), {f.name: f.type for f in fields(ResultConfig)}
    depths = {f.name: f.type for f in fields(EncodeConfig)}["bit_depth"]
    group.add_argument("--codec", choices=get_args(VideoCodec), help=f"of the result (default {EncodeConfig.codec})")
    group.add_argument("--crf", type=int, help=f"quality, 0 (lossless) to 51 (default {EncodeConfig.crf})")
    group.add_argument(
        "--hardware", action="store_true", help="encode on the GPU or the CPU's video unit; h264, hevc and av1"
    )
    group.add_argument("--bit-depth", type=int, choices=get_args(depths), help="0 follows the source (default)")
    group.add_argument(
        "--scale", type=int, choices=get_args(kinds["scale"]), help=f"times larger (default {ResultConfig.scale})"
    )
    group.add_argument("--height", type=int, metavar="PIXELS", help="of the result, instead of a scale")
    group.add_argument(
        "--color-fix", choices=get_args(ColorFix), help=f"towards the input's (default {ResultConfig.color_fix})"
    )
    group.add_argument("--overwrite", action="store_true", default=False, help="replace OUT if it exists")


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running; what is not given is chosen by the memory")
    group.add_argument(
        "--cleaning-threshold",
        type=float,
        metavar="LEVEL",
        help="clean noise again, up to three times, while the mean correction, of 255, is at least this; "
        f"try 5 for very noisy footage (default {RecurrentConfig.cleaning_threshold:g}: clean once)",
    )
    group.add_argument("--window", type=int, metavar="FRAMES", help="frames a window")
    group.add_argument(
        "--look-ahead", type=int, metavar="FRAMES", help=f"frames looked at beyond it (best {LOOK_AHEAD})"
    )
    group.add_argument("--tile", type=int, metavar="PIXELS", help="side of a tile in pixels of the input")
    group.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="what the network computes in (default auto: float16 on CUDA, else float32)",
    )
    group.add_argument(
        "--speedup",
        choices=get_args(Speedup),
        help="try more than plain PyTorch: code compiled for the size, recorded CUDA graphs (default none)",
    )
    group.add_argument(
        "--segment", type=int, metavar="FRAMES", help="frames a segment: what a crash may lose, and what can be watched"
    )
    group.add_argument("--ignore-space", action="store_true", help="begin even if the disk looks too small")
    group.add_argument("--device", default=DEVICE, help="cpu, cuda, cuda:1, mps (default %(default)s)")
    group.add_argument("--quiet", action="store_true", default=False, help="no progress and no closing line")


def run(options: argparse.Namespace) -> Outcome:
    """Restore a video."""
    pictures = getattr(options, "codec", "") == "png"
    if not pictures:  # a folder of pictures is never replaced; the pipeline says so
        check_output(options.output, [options.input], options.overwrite)
    from ..core.job import Job, Source, Workplace
    from ..core.pipeline import Order

    cluster.check_options(options)
    if options.system != diffusion.OURS and not hasattr(options, "segment"):
        options.segment = DIFFUSION_SEGMENT
    job = given(Job, options, result=given(ResultConfig, options), encode=given(EncodeConfig, options))
    order = Order(given(Source, options, path=options.input), options.output, job, given(Workplace, options))
    progress = ProgressLine(sys.stderr, silent=options.quiet)
    try:
        restore = cluster.restore if hasattr(options, "address") else _restore
        restored = restore(order, options, progress)
    finally:
        progress.close()
    return _describe_restored(restored, options.quiet)


def _restore(order: "Order", options: argparse.Namespace, progress: ProgressLine) -> "Restored":
    from ..core.device import pick_device
    from ..core.pipeline import restore_video

    device = pick_device(options.device)
    restorer = _load(options, device) if options.system == diffusion.OURS else diffusion.load_restorer(options, device)
    return restore_video(order.source, restorer, order.output, order.job, progress, place=order.place)


def _load(options: argparse.Namespace, device: "torch.device") -> "Restorer":
    from ..core.device import memory_budget
    from ..core.restorers.loading import load_restorer

    weights = find(getattr(options, "weights", SHIPPED[0].name))
    fidelity = getattr(options, "fidelity", FIDELITY)
    return load_restorer(weights, given(RecurrentConfig, options), device, memory_budget(device), fidelity)


def _describe_restored(restored: "Restored", quiet: bool) -> Outcome:
    fps = (restored.frames - restored.resumed) / max(restored.seconds, 1e-9)
    values = {**asdict(restored), "path": str(restored.path), "fps": fps}
    size = f"{restored.width}x{restored.height}"
    text = f"{restored.path}: {restored.frames} frames of {size} in {restored.seconds:.1f} s, {fps:.2f} fps"
    lines = [text, *(f"lost: {line}" for line in restored.lost), *(f"note: {line}" for line in restored.notes)]
    return Outcome(values, "" if quiet else "\n".join(lines))


def _interrupted(options: argparse.Namespace) -> str:
    from ..core.pipeline import job_folder

    folder = job_folder(options.output)
    if not folder.is_dir():
        return "no output was written"
    return (
        f"what is finished is kept in {folder}: the same command goes on from there, `textovsr jobs --remove {folder}` "
        "gives it up"
    )


def _text(value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(
            f"Expected a text file at {value[1:]}, got {error}; correct the path."
        ) from error
