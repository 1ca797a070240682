"""``textovsr score``: how good a video is, with or without a reference."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..core.config import CUT_THRESHOLD, Deinterlace
from ..core.errors import SettingError, WeightsNotFoundError
from .common import Outcome, check_output, given, seconds
from .process import say
from .progress import ProgressLine
from .weights import WEIGHTS_FOLDERS, weights_folders

if TYPE_CHECKING:
    from ..core.quality.meters import LoadClip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="the true video, compared frame by frame")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots, pictures and numbers")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the values of every frame")
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace existing files")
    _add_measuring(parser)
    parser.add_argument("--start", type=seconds, metavar="SECONDS", help="skip the beginning, of the reference too")
    parser.add_argument("--duration", type=seconds, metavar="SECONDS", help="take no more than this")
    parser.add_argument("--deinterlace", choices=get_args(Deinterlace), help="as for upscale (default auto)")
    parser.add_argument("--device", metavar="NAME", help="where flow and networks run: auto, cpu, cuda, cuda:1, mps")
    _add_clip(parser)
    parser.add_argument("--quiet", action="store_true", default=False, help="no progress")


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics",
        type=_names,
        metavar="A,B",
        help="what is measured, such as psnr_y,vmaf,lpips (default: our own all)",
    )
    parser.add_argument("--every", type=int, metavar="N", help="measure one frame in N (default 1)")
    parser.add_argument("--resize", action="store_true", help="bring the video to its reference's size")
    parser.add_argument("--worst", type=int, metavar="N", help="worst moments that are listed (default 6)")
    parser.add_argument("--worst-by", metavar="METRIC", help="what decides which are the worst (default: the surest)")
    parser.add_argument("--window", type=seconds, metavar="SECONDS", help="length of such a moment (default 1)")
    parser.add_argument(
        "--line", type=float, metavar="SHARE", help="line of the temporal profile, 0 to 1 (default 0.5)"
    )
    parser.add_argument(
        "--cut-threshold", type=float, metavar="SCORE", help=f"how sure a cut must be (default {CUT_THRESHOLD:g})"
    )


def _add_clip(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clip",
        metavar="FILE",
        help=f"CLIP RN50 for clip_iqa: a file, or the name of one in the folders of {WEIGHTS_FOLDERS} (default: the "
        "first there, or one that open_clip, pyiqa or the Hugging Face hub keep)",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        default=False,
        help=f"you agree that CLIP RN50 (408 MB, licence MIT) is fetched into the first folder of {WEIGHTS_FOLDERS} if "
        "there is none",
    )


def run(options: argparse.Namespace) -> Outcome:
    """Measure a video."""
    from ..core.job import Progress, Source
    from ..core.quality.report import Compared, ReportConfig, make_report
    from ..core.quality.report_files import save_page
    from ..core.quality.report_text import as_values, write_report

    page, rows = getattr(options, "html", None), getattr(options, "csv", None)
    for path in filter(None, (page, rows)):
        check_output(path, [options.input, getattr(options, "reference", options.input)], options.overwrite)
    source = given(Source, options, path=options.input)
    true = getattr(options, "reference", None)
    videos = Compared(source, None if true is None else given(Source, options, path=true))
    clip = _clip(options)
    line, began = ProgressLine(sys.stderr, silent=options.quiet), time.monotonic()

    def report(done: int, total: int | None, newest: Any) -> None:
        line(Progress(done, total, time.monotonic() - began, newest))

    try:
        found = make_report(videos, given(ReportConfig, options), rows, report, clip)
    finally:
        line.close()
    if page is not None:
        save_page(found, page)
    written = [f"written: {path}" for path in (page, rows) if path is not None]
    return Outcome(as_values(found), "\n".join([write_report(found), *([""] if written else []), *written]))


def _clip(options: argparse.Namespace) -> "LoadClip":
    """CLIP-IQA by its file or name, or downloaded if that was agreed to; read when it is needed."""
    from ..core.config import DEVICE
    from ..core.device import pick_device
    from ..core.quality.clip_files import AUTOMATIC, find_clip
    from ..core.quality.clip_iqa import load_found_clip_iqa

    name, folders = getattr(options, "clip", AUTOMATIC), weights_folders()
    file = Path(name).expanduser()
    if file.is_file():
        name, folders = file.name, [file.parent]
    try:
        # What nobody asked for may be missing: then it is not measured.
        if options.download or name != AUTOMATIC:
            find_clip(name, folders)
    except WeightsNotFoundError:
        if not options.download or name != AUTOMATIC:
            raise
        _download(options)
    device = pick_device(getattr(options, "device", DEVICE))
    return lambda size: load_found_clip_iqa(device, name, folders)


def _download(options: argparse.Namespace) -> None:
    """Fetch CLIP RN50 into the first folder of weights."""
    from ..core.download import download
    from ..core.quality.clip_files import PUBLISHED_CLIPS
    from ..core.space import readable

    folders, file = weights_folders(), PUBLISHED_CLIPS[0]
    if not folders:
        raise SettingError(
            f"Expected a folder for CLIP RN50, got none; name one in the environment variable {WEIGHTS_FOLDERS}."
        )
    told = -1

    def report(done: int, total: int | None) -> None:
        nonlocal told
        share = done * 10 // total if total else 0
        if share != told and not options.quiet:
            told = share
            say(f"{file.file}: {readable(done)} of {readable(total or file.size)}", sys.stderr)

    download(file, folders[0] / file.file, report)


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())
