"""``textovsr score``: how good a video is, with or without a reference."""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any, get_args

from ..core.config import CUT_THRESHOLD, Deinterlace
from ..core.errors import OutputError, OutputExistsError
from .common import Outcome, given
from .progress import ProgressLine


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="the true video, compared frame by frame")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots, pictures and numbers")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the values of every frame")
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace existing files")
    _add_measuring(parser)
    parser.add_argument("--start", type=_seconds, metavar="SECONDS", help="skip the beginning, of the reference too")
    parser.add_argument("--duration", type=_seconds, metavar="SECONDS", help="take no more than this")
    parser.add_argument("--deinterlace", choices=get_args(Deinterlace), help="as for upscale (default auto)")
    parser.add_argument("--device", metavar="NAME", help="where flow and networks run: auto, cpu, cuda, cuda:1, mps")
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
    parser.add_argument("--window", type=_seconds, metavar="SECONDS", help="length of such a moment (default 1)")
    parser.add_argument(
        "--line", type=float, metavar="SHARE", help="line of the temporal profile, 0 to 1 (default 0.5)"
    )
    parser.add_argument(
        "--cut-threshold", type=float, metavar="SCORE", help=f"how sure a cut must be (default {CUT_THRESHOLD:g})"
    )


def run(options: argparse.Namespace) -> Outcome:
    """Measure a video."""
    from ..core.job import Progress, Source
    from ..core.quality.report import Compared, ReportConfig, make_report
    from ..core.quality.report_files import save_page
    from ..core.quality.report_text import as_values, write_report

    page, rows = getattr(options, "html", None), getattr(options, "csv", None)
    for path in filter(None, (page, rows)):
        _check_output(options, path)
    source = given(Source, options, path=options.input)
    true = getattr(options, "reference", None)
    videos = Compared(source, None if true is None else given(Source, options, path=true))
    line, began = ProgressLine(sys.stderr, silent=options.quiet), time.monotonic()

    def report(done: int, total: int | None, newest: Any) -> None:
        line(Progress(done, total, time.monotonic() - began, newest))

    try:
        found = make_report(videos, given(ReportConfig, options), rows, report)
    finally:
        line.close()
    if page is not None:
        save_page(found, page)
    written = [f"written: {path}" for path in (page, rows) if path is not None]
    return Outcome(as_values(found), "\n".join([write_report(found), *([""] if written else []), *written]))


def _check_output(options: argparse.Namespace, path: Path) -> None:
    """Find out before hours of work that its outcome could not be written."""
    inputs = [options.input, getattr(options, "reference", options.input)]
    if path.is_dir() or path.resolve() in [video.resolve() for video in inputs]:
        raise OutputError(f"Expected a file that is none of the videos, got {path}; choose another name.")
    if path.exists() and not options.overwrite:
        raise OutputExistsError(f"Expected a new file, got {path}, which exists; add --overwrite to replace it.")


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _seconds(value: str) -> float:
    seconds = float(value)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(f"Expected seconds of at least 0, got {value}.")
    return seconds
