"""``textovsr train``: train a network of one's own, or collect noise for it."""

import argparse
import sys
from pathlib import Path

from ..core.errors import SettingError
from .common import Outcome
from .progress import ProgressLine

NOISE_BANK = "noise-bank"
_EPILOG = """
textovsr train noise-bank FOLDER OUT collects noise for the negative branch from your own videos.
A run that was stopped goes on with the same command. docs/training.md explains the settings.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.set_defaults(interrupted=_interrupted)
    parser.epilog = _EPILOG
    parser.add_argument(
        "collect",
        nargs="*",
        default=[],
        metavar="noise-bank FOLDER OUT",
        help="collect noise from a folder's videos into a file",
    )
    parser.add_argument("--config", metavar="FILE", help="settings (TOML or JSON), or the name of a config of the pack")
    parser.add_argument("--data", metavar="FOLDER", help="images and videos to train on, in place of the config's")
    parser.add_argument("--output", metavar="FOLDER", help="where the run is kept, in place of the config's")
    parser.add_argument(
        "--set", nargs="+", action="extend", metavar="KEY=VALUE", help="change settings, such as optimizer.rate=1e-4"
    )
    parser.add_argument("--sequences", type=int, metavar="N", help="of noise to collect (default 39)")
    parser.add_argument("--quiet", action="store_true", default=False, help="show no progress")


def run(options: argparse.Namespace) -> Outcome:
    """Train, or collect noise."""
    if options.collect:
        return _collect(options)
    if not hasattr(options, "config"):
        raise SettingError("Expected --config FILE or noise-bank FOLDER OUT, got neither; see textovsr train --help.")
    return _train(options)


def _train(options: argparse.Namespace) -> Outcome:
    from ..training.config import Stage2Config
    from ..training.config_file import load_config

    named = [f"{name}={getattr(options, name)}" for name in ("data", "output") if hasattr(options, name)]
    config = load_config(options.config, [*getattr(options, "set", []), *named])
    options.output = config.output  # for what is said after Ctrl-C
    line = ProgressLine(sys.stderr, options.quiet)
    try:
        if isinstance(config, Stage2Config):
            from ..training import stage2

            weights = stage2.train(config, line)
        else:
            from ..training import stage1

            weights = stage1.train(config, line)
    finally:
        line.close()
    values = {"weights": str(weights), "steps": config.steps, "output": str(config.output)}
    return Outcome(values, "" if options.quiet else f"{weights}: use it with `textovsr upscale --weights {weights}`")


def _collect(options: argparse.Namespace) -> Outcome:
    if len(options.collect) != 3 or options.collect[0] != NOISE_BANK:
        raise SettingError(f"Expected noise-bank FOLDER OUT, got {' '.join(options.collect)}; correct it.")
    from ..training.noise_bank import SEQUENCES, collect, save_bank

    folder, output = Path(options.collect[1]), Path(options.collect[2])
    if output.suffix != ".safetensors":
        raise SettingError(f"Expected a .safetensors file to write, got {output}; change its suffix.")
    wanted = getattr(options, "sequences", SEQUENCES)
    if wanted < 1:
        raise SettingError(f"Expected at least 1 sequence, got {wanted}; correct --sequences.")

    def tell(text: str) -> None:
        if not options.quiet:
            print(text, file=sys.stderr)

    found = collect(folder, wanted, report=tell)
    save_bank(found, output)
    values = {"path": str(output), "sequences": len(found.sequences), "sources": found.sources}
    return Outcome(values, "" if options.quiet else f"{output}: {len(found.sequences)} sequences of noise")


def _interrupted(options: argparse.Namespace) -> str:
    return (
        "the last checkpoint is kept, the same command goes on after it"
        if not options.collect
        else "nothing was written"
    )
