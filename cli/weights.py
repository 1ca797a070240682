"""``textovsr weights``: the weights to choose from, those that the diffusion systems need, and conversion."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import SettingError
from ..models.catalog import SHIPPED, find_weights, list_weights
from ..models.published import SYSTEMS, Needed, choices
from .common import Outcome
from .process import say

WEIGHTS_FOLDERS = "TEXTOVSR_WEIGHTS"
"""Environment variable: folders of weights files, separated as in PATH."""

_SYSTEMS = tuple(system.name for system in SYSTEMS)
VARIANTS = tuple(variant for system in SYSTEMS for variant in system.variants)
_VARIED = " and ".join(system.name for system in SYSTEMS if system.variants)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options and what it can do besides listing."""
    parser.add_argument("--system", choices=_SYSTEMS, default=None, help="say all about what this system needs")
    which = f"of {_VARIED}: which of its weights (default {VARIANTS[0]})"
    parser.add_argument("--variant", choices=VARIANTS, default="", help=which)
    actions = parser.add_subparsers(metavar="ACTION", required=False)

    def add(name: str, run: Callable[[argparse.Namespace], Outcome], kept: str, text: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text, description=text, argument_default=argparse.SUPPRESS)
        action.set_defaults(run=run, interrupted=lambda options: kept)
        action.add_argument("--json", action="store_true", help="print the result, or the error, as JSON")
        action.add_argument("--verbose", action="store_true", help="say on stderr what is going on")
        return action

    get = add("get", _get, "what came is kept: run it again", "Download what a diffusion system needs.")
    get.add_argument("system", choices=_SYSTEMS)
    get.add_argument("--variant", choices=VARIANTS, default=argparse.SUPPRESS, help=which)
    get.add_argument("--agree", action="store_true", default=False, help="you agree to the licences that are shown")
    get.add_argument(
        "--all", action="store_true", default=False, help="also get what something that ships can stand in for"
    )
    get.add_argument("--to", type=Path, metavar="FOLDER", help=f"where to (default: the first of {WEIGHTS_FOLDERS})")
    convert = add(
        "convert", _convert, "nothing was written", "Turn a .ckpt, .pt or .pth into .safetensors; nothing of it is run."
    )
    convert.add_argument("input", type=Path, metavar="INPUT")
    convert.add_argument("output", type=Path, metavar="OUTPUT.safetensors")
    convert.add_argument(
        "--half", action="store_true", default=False, help="keep 32-bit numbers in 16 bits: half the size"
    )


def run(options: argparse.Namespace) -> Outcome:
    """List weights, or tell about those of a system."""
    if options.system is not None:
        return _about(options.system, options.variant)
    folders = weights_folders()
    entries = [{"name": s.name, "licence": s.licence, "purpose": s.purpose} for s in SHIPPED]
    shipped = {entry["name"] for entry in entries}
    for name in list_weights(folders):
        if name not in shipped:
            entries.append({"name": name, "licence": "unknown", "purpose": f"a file in {WEIGHTS_FOLDERS}"})
    width = max(len(entry["name"]) for entry in entries)
    lines = [f"{e['name']:<{width}}  {e['licence']:<12}{e['purpose']}" for e in entries]
    if not options.json:  # which would look into every file
        lines += ["", *_system_lines(folders)]
    return Outcome(entries, "\n".join(lines))


def find(name: str) -> Path:
    """The file of a name, or the file that is named.

    Raises:
        WeightsNotFoundError: there is none.
    """
    path = Path(name).expanduser()
    return path if path.is_file() else find_weights(name, weights_folders())


def weights_folders() -> list[Path]:
    """The folders that the environment variable names."""
    return [Path(folder) for folder in os.environ.get(WEIGHTS_FOLDERS, "").split(os.pathsep) if folder]


def _system_lines(folders: list[Path]) -> list[str]:
    from ..core.weights import find_files
    from ..core.weights_report import in_a_line

    width = max(map(len, _SYSTEMS))
    every = [choice for system in SYSTEMS for choice in choices(system)]
    lines = [f"{choice.name:<{width}}  {in_a_line(choice, find_files(choice, folders))}" for choice in every]
    return ["Diffusion systems, whose files are not shipped; --system NAME says what they need:", *lines]


def _about(name: str, variant: str) -> Outcome:
    from ..core.weights import find_files, find_system
    from ..core.weights_report import as_values, in_words

    system = find_system(name, variant)
    found = find_files(system, weights_folders())
    return Outcome(as_values(system, found), in_words(system, found))


def _get(options: argparse.Namespace) -> Outcome:
    from ..core.weights import find_files, find_system, to_download
    from ..core.weights_download import get_files
    from ..core.weights_report import as_values, before_download, in_words

    system, folders = find_system(options.system, options.variant), weights_folders()
    target = getattr(options, "to", folders[0] if folders else None)
    if target is None:
        raise SettingError(f"Expected a folder to download to, got none; add --to FOLDER, or set {WEIGHTS_FOLDERS}.")
    folders = [target, *(folder for folder in folders if folder != target)]
    found = find_files(system, folders)
    if to_download(found, options.all) and not options.agree:
        told = before_download(system, found, target, options.all)
        raise SettingError(f"{told}\n\nExpected your consent to these licences, got none; add --agree to download.")
    found = get_files(system, folders, target, _told, options.all)
    return Outcome(as_values(system, found), in_words(system, found))


def _told(needed: Needed) -> Callable[[int, int | None], None]:
    """Says on stderr how far a download is, in steps of a hundredth."""
    from ..core.space import readable

    told = -1

    def report(done: int, total: int | None) -> None:
        nonlocal told
        share = 100 * done // total if total else done // 100_000_000
        if share != told:
            told = share
            of = f" of {readable(total)}" if total else ""
            say(f"downloading {needed.file}: {readable(done)}{of}", sys.stderr)

    return report


def _convert(options: argparse.Namespace) -> Outcome:
    from ..core.convert_weights import convert_weights
    from ..core.space import readable

    done = convert_weights(options.input, options.output, options.half)
    dropped = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in done.dropped.items())
    text = f"{done.path}: {done.tensors} tensors, {readable(done.size)}, read back and equal; left out: "
    values: dict[str, Any] = {"output": str(done.path), "tensors": done.tensors, "bytes": done.size}
    return Outcome({**values, "dropped": done.dropped}, text + (dropped or "nothing"))
