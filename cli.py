"""The command line: ``textovsr upscale``, ``textovsr info`` and ``textovsr weights``.

Exit codes: 0 done; 1 an error that the message explains; 2 wrong usage; 130 interrupted. On the way to every code but 0
nothing is left of the output. Heavy imports happen inside the commands.
"""

import argparse
import json
import logging
import math
import os
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, get_args

from .core.config import DEVICE, LOOK_AHEAD, ColorFix, EncodeConfig, RecurrentConfig, ResultConfig, VideoCodec
from .core.errors import OutputError, OutputExistsError, TextOVSRError
from .models.catalog import SHIPPED, find_weights, list_weights

if TYPE_CHECKING:
    from .core.pipeline import Progress, Restored
    from .core.video.probe import StreamInfo, VideoInfo

WEIGHTS_FOLDERS = "TEXTOVSR_WEIGHTS"
"""Environment variable: folders of weights files, separated as in PATH."""

INTERRUPTED = 130
"""The exit code of a shell's command that Ctrl-C ended."""

Config = TypeVar("Config")


@dataclass(frozen=True)
class Outcome:
    """What a command found or did, for programs and for people."""

    values: Any
    text: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(name)s: %(message)s")
    if not (options.verbose or sys.warnoptions):
        warnings.simplefilter("ignore")  # the libraries' own, which a user can do nothing about
    try:
        outcome = options.run(options)
    except TextOVSRError as error:
        print(f"textovsr: {error}", file=sys.stderr)
        if options.json:
            print(json.dumps({"error": str(error)}))
        return 1
    except KeyboardInterrupt:
        print("textovsr: stopped; no output was written.", file=sys.stderr)
        return INTERRUPTED
    if options.json:
        print(json.dumps(outcome.values, indent=2))
    elif outcome.text:
        print(outcome.text)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    # An option that is not given is not there either, so that every default stays where it is defined.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--json", action="store_true", default=False, help="print the result, or the error, as JSON")
    common.add_argument("--verbose", action="store_true", default=False, help="say on stderr what is going on")
    parser = argparse.ArgumentParser(prog="textovsr", description="Real-world video super-resolution, guided by text.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, parents=[common], help=text, description=text, argument_default=argparse.SUPPRESS
        )
        command.set_defaults(run=run)
        return command

    upscale = add("upscale", _upscale, "Restore a video and make it four times larger.")
    upscale.add_argument("input", type=Path, metavar="IN", help="the video to restore")
    upscale.add_argument("output", type=Path, metavar="OUT", help="the file to write; its suffix is the container")
    _add_guidance(upscale)
    _add_result(upscale)
    _add_running(upscale)
    info = add("info", _info, "Say what a video file holds.")
    info.add_argument("input", type=Path, metavar="IN", help="the video")
    add("weights", _weights, "List the weights to choose from.")
    return parser


def _add_guidance(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("guidance; a text is plain or WebVTT, and @FILE reads it from a file")
    group.add_argument(
        "--weights", metavar="NAME", help=f"see `textovsr weights`; or a file (default {SHIPPED[0].name})"
    )
    group.add_argument("--caption", type=_text, metavar="TEXT", help="what is to be seen")
    group.add_argument(
        "--degradation", type=_text, metavar="TEXT", help="what is wrong, such as: heavy blur, light noise"
    )
    group.add_argument("--start", type=_seconds, metavar="SECONDS", help="skip the beginning")
    group.add_argument("--duration", type=_seconds, metavar="SECONDS", help="take no more than this")


def _add_result(parser: argparse.ArgumentParser) -> None:
    group, kinds = parser.add_argument_group("result"), {f.name: f.type for f in fields(ResultConfig)}
    depths = {f.name: f.type for f in fields(EncodeConfig)}["bit_depth"]
    group.add_argument("--codec", choices=get_args(VideoCodec), help=f"of the result (default {EncodeConfig.codec})")
    group.add_argument("--crf", type=int, help=f"quality, 0 (lossless) to 51 (default {EncodeConfig.crf})")
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
    group.add_argument("--device", default=DEVICE, help="cpu, cuda, cuda:1, mps (default %(default)s)")
    group.add_argument("--quiet", action="store_true", default=False, help="no progress and no closing line")


def _upscale(options: argparse.Namespace) -> Outcome:
    _check_output(options.input, options.output, options.overwrite)
    weights = _find(getattr(options, "weights", SHIPPED[0].name))
    from .core.device import memory_budget, pick_device
    from .core.pipeline import Job, Source, restore_video
    from .core.restorers.loading import load_restorer

    device = pick_device(options.device)
    restorer = load_restorer(weights, _given(RecurrentConfig, options), device, memory_budget(device))
    job = _given(Job, options, result=_given(ResultConfig, options), encode=_given(EncodeConfig, options))
    source = _given(Source, options, path=options.input)
    progress = _ProgressLine(sys.stderr, silent=options.quiet)
    try:
        restored = restore_video(source, restorer, options.output, job, progress)
    finally:
        progress.close()
    return _describe_restored(restored, options.quiet)


def _describe_restored(restored: "Restored", quiet: bool) -> Outcome:
    fps = restored.frames / max(restored.seconds, 1e-9)
    values = {**asdict(restored), "path": str(restored.path), "fps": fps}
    size = f"{restored.width}x{restored.height}"
    text = f"{restored.path}: {restored.frames} frames of {size} in {restored.seconds:.1f} s, {fps:.2f} fps"
    return Outcome(values, "" if quiet else text)


def _info(options: argparse.Namespace) -> Outcome:
    from .core.video.probe import probe

    info = probe(options.input)
    return Outcome(info.as_dict(), _describe_video(info))


def _describe_video(info: "VideoInfo") -> str:
    def words(stream: "StreamInfo") -> str:
        sound = f"{stream.channels} channels, {stream.sample_rate} Hz" if stream.channels else ""
        return ", ".join(filter(None, (stream.codec, stream.language, stream.title, sound)))

    length = "unknown" if info.duration is None else f"{float(info.duration):.3f} s"
    lines = [
        ("file", str(info.path)),
        ("container", info.container),
        ("video", f"{info.codec}, {info.width}x{info.height}, {info.pixel_format}, {info.bit_depth} bit"),
        ("rotation", f"{info.rotation} degrees" if info.rotation else ""),
        ("pixel aspect", str(info.sample_aspect_ratio) if info.sample_aspect_ratio != 1 else ""),
        ("frames", f"{info.frames or 'unknown'} at {float(info.frame_rate):.3f} fps on average"),
        ("duration", length),
        *(("audio", words(stream)) for stream in info.audio),
        *(("subtitles", words(stream)) for stream in info.subtitles),
        ("chapters", str(info.chapters) if info.chapters else ""),
    ]
    return "\n".join(f"{name:<13}{value}" for name, value in lines if value)


def _weights(options: argparse.Namespace) -> Outcome:
    folders = _weights_folders()
    entries = [{"name": s.name, "licence": s.licence, "purpose": s.purpose} for s in SHIPPED]
    shipped = {entry["name"] for entry in entries}
    for name in list_weights(folders):
        if name not in shipped:
            entries.append({"name": name, "licence": "unknown", "purpose": f"a file in {WEIGHTS_FOLDERS}"})
    width = max(len(entry["name"]) for entry in entries)
    return Outcome(entries, "\n".join(f"{e['name']:<{width}}  {e['licence']:<12}{e['purpose']}" for e in entries))


@dataclass
class _ProgressLine:
    """Shows progress: one line that is drawn over on a terminal, else a line now and then.

    Attributes:
        stream: where to.
        silent: show nothing.
    """

    stream: TextIO
    silent: bool = False
    _shown: float = field(default=-math.inf, init=False)
    _share: float = field(default=0.0, init=False)

    def __call__(self, progress: "Progress") -> None:
        """Report one finished frame."""
        now, share = time.monotonic(), progress.done / progress.total if progress.total else 0.0
        terminal = self.stream.isatty()
        waited = now - self._shown
        due = waited >= 0.1 if terminal else waited >= 10 or share - self._share >= 0.1
        if self.silent or not (due or progress.done == progress.total):
            return
        self._shown, self._share = now, share
        self.stream.write(self._drawn(share, str(progress)) if terminal else f"{progress}\n")
        self.stream.flush()

    def _drawn(self, share: float, words: str) -> str:
        bar = "#" * round(24 * share)
        room = shutil.get_terminal_size().columns - 1
        return "\r" + f"[{bar:<24}] {words}"[:room].ljust(room)

    def close(self) -> None:
        """End the line."""
        if not self.silent and self.stream.isatty() and self._shown > -math.inf:
            self.stream.write("\n")


def _check_output(source: Path, output: Path, overwrite: bool) -> None:
    if output.is_dir():
        raise OutputError(
            f"Expected a file to write, got the folder {output}; add a name such as {output / 'out.mp4'}."
        )
    if output.exists() and source.exists() and output.samefile(source):
        raise OutputError(f"Expected an output other than the input, got {output} for both; choose another name.")
    if output.exists() and not overwrite:
        raise OutputExistsError(f"Expected a new file, got {output}, which exists; add --overwrite to replace it.")


def _find(name: str) -> Path:
    path = Path(name).expanduser()
    return path if path.is_file() else find_weights(name, _weights_folders())


def _weights_folders() -> list[Path]:
    return [Path(folder) for folder in os.environ.get(WEIGHTS_FOLDERS, "").split(os.pathsep) if folder]


def _given(kind: type[Config], options: argparse.Namespace, **further: Any) -> Config:
    """A configuration of the options that were given; the rest keep their defaults."""
    names = (f.name for f in fields(kind) if f.init)  # type: ignore[arg-type]  # every one is a dataclass
    return kind(**{name: getattr(options, name) for name in names if hasattr(options, name)}, **further)


def _text(value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(
            f"Expected a text file at {value[1:]}, got {error}; correct the path."
        ) from error


def _seconds(value: str) -> float:
    seconds = float(value)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(f"Expected seconds of at least 0, got {value}.")
    return seconds
