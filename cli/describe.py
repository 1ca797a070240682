"""``textovsr describe``: how a video was spoilt."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..core.config import CUT_THRESHOLD, Deinterlace
from .common import Outcome, given, seconds
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..core.degrade.describe import VideoDescription
    from ..core.degrade.estimator import Estimate


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video")
    parser.add_argument("--table", action="store_true", default=False, help="print probabilities instead of WebVTT")
    parser.add_argument("--frames-per-shot", type=int, metavar="N", help="places in a shot that are looked at")
    parser.add_argument(
        "--cut-threshold", type=float, metavar="SCORE", help=f"how sure a cut must be (default {CUT_THRESHOLD:g})"
    )
    parser.add_argument("--start", type=seconds, metavar="SECONDS", help="skip the beginning")
    parser.add_argument("--duration", type=seconds, metavar="SECONDS", help="take no more than this")
    parser.add_argument("--deinterlace", choices=get_args(Deinterlace), help="as for upscale (default auto)")
    parser.add_argument("--quiet", action="store_true", default=False, help="no progress")


def run(options: argparse.Namespace) -> Outcome:
    """Describe the degradations of a video."""
    from ..core.degrade.describe import DescribeConfig, describe_source
    from ..core.degrade.estimator import load_estimator
    from ..core.job import Progress, Source

    line, began = ProgressLine(sys.stderr, silent=options.quiet), time.monotonic()

    def report(done: int, total: int | None, newest: Any) -> None:
        line(Progress(done, total, time.monotonic() - began, newest))

    source = given(Source, options, path=options.input)
    try:
        found = describe_source(source, load_estimator(), given(DescribeConfig, options), report)
    finally:
        line.close()
    return Outcome(_values(found), (found.table if options.table else found.webvtt).rstrip("\n"))


def _values(found: "VideoDescription") -> dict[str, Any]:
    shots = [
        {"start": shot.start, "end": shot.end, "frames": shot.frames, **_described(shot.estimate)}
        for shot in found.shots
    ]
    return {"overall": _described(found.overall), "shots": shots, "webvtt": found.webvtt}


def _described(estimate: "Estimate") -> dict[str, Any]:
    return {"text": estimate.text, "probabilities": estimate.as_dict()}
