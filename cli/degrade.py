"""``textovsr degrade``: a video made worse on purpose, with a record of how."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ..core.config import DEVICE, VideoCodec
from ..core.degrade.config import PRESETS, SCALES, DegradeConfig
from ..core.existing import check_folder
from .common import Outcome, check_output, given, seconds
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..core.degrade.video import Degraded


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video to degrade")
    parser.add_argument("output", type=Path, metavar="OUT", help="the file to write; its suffix is the container")
    parser.add_argument("--start", type=seconds, metavar="SECONDS", help="skip the beginning")
    parser.add_argument("--duration", type=seconds, metavar="SECONDS", help="take no more than this")
    _add_degradation(parser)
    _add_result(parser)


def _add_degradation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("degradation")
    group.add_argument(
        "--preset", choices=PRESETS, help=f"the kind of footage to make of it (default {DegradeConfig.preset})"
    )
    group.add_argument("--seed", type=int, help=f"decides every parameter and all noise (default {DegradeConfig.seed})")
    group.add_argument(
        "--scale",
        type=_scale,
        metavar="{" + ",".join(map(_scale_name, SCALES)) + "}",
        help="1 keeps the size, 1/4 makes low resolution for training (default 1)",
    )
    group.add_argument(
        "--drift",
        type=float,
        help="how far strengths wander over the video: 0 not at all, 1 from half to double (default "
        f"{DegradeConfig.drift:g}); what an encoder was told does not wander",
    )


def _add_result(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("result")
    group.add_argument("--text-file", type=Path, metavar="FILE", help="write the degradation text here")
    group.add_argument("--parameters-file", type=Path, metavar="FILE", help="write the exact parameters here, as JSON")
    codecs = [codec for codec in get_args(VideoCodec) if codec != "png"]
    group.add_argument("--codec", choices=codecs, help="of the result (default h264); ffv1 in mkv adds no loss")
    group.add_argument("--crf", type=int, help="quality of the result, 0 (lossless) to 51 (default 10)")
    group.add_argument("--overwrite", action="store_true", default=False, help="replace files that exist")
    group.add_argument("--device", default=DEVICE, help="cpu, cuda, cuda:1, mps (default %(default)s)")
    group.add_argument("--quiet", action="store_true", default=False, help="no progress and no closing line")


def run(options: argparse.Namespace) -> Outcome:
    """Degrade a video and write down how."""
    files = {name: getattr(options, name, None) for name in ("text_file", "parameters_file")}
    for path in (options.output, *filter(None, files.values())):
        check_folder(path)
        check_output(path, [options.input], options.overwrite)
    config = given(DegradeConfig, options)
    from ..core.degrade.video import FINE, DegradeJob, degrade_video
    from ..core.device import pick_device
    from ..core.job import Source

    encode = replace(FINE, **{name: getattr(options, name) for name in ("codec", "crf") if hasattr(options, name)})
    job = DegradeJob(config, encode, pick_device(options.device))
    progress = ProgressLine(sys.stderr, silent=options.quiet)
    try:
        done = degrade_video(given(Source, options, path=options.input), options.output, job, progress)
    finally:
        progress.close()
    texts = {"text_file": done.degradation.text, "parameters_file": done.degradation.to_json()}
    for name, path in files.items():
        if path is not None:
            path.write_text(texts[name] + "\n", "utf-8")
    return _describe(done, options.quiet)


def _describe(done: "Degraded", quiet: bool) -> Outcome:
    height, width = done.degradation.out
    values = {
        "path": str(done.path),
        "frames": done.frames,
        "width": width,
        "height": height,
        "seconds": done.seconds,
        "text": done.degradation.text,
        "parameters": json.loads(done.degradation.to_json()),
        "streams": asdict(done.streams),
        "lost": done.lost,
        "notes": done.notes,
    }
    head = f"{done.path}: {done.frames} frames of {width}x{height} in {done.seconds:.1f} s"
    lines = [head, done.degradation.text, *(f"lost: {line}" for line in done.lost)]
    lines += [f"note: {line}" for line in done.notes]
    return Outcome(values, "" if quiet else "\n".join(lines))


def _scale(value: str) -> int:
    names = {_scale_name(scale): scale for scale in SCALES}
    if value not in names:
        raise argparse.ArgumentTypeError(f"Expected {' or '.join(names)}, got {value}.")
    return names[value]


def _scale_name(scale: int) -> str:
    return "1" if scale == 1 else f"1/{scale}"
