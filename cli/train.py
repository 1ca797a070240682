"""``textovsr train``: train a network of one's own, or collect noise for it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingError
from .common import Outcome
from .process import say
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..training.config import RunConfig

NOISE_BANK = "noise-bank"
SDATC = "sdatc"
_EPILOG = """
textovsr train noise-bank FOLDER OUT collects noise for the negative branch from your own videos.
textovsr train sdatc --data VIDEOS --set base.unet=FILE trains SDATC on Stable Diffusion 2.1 base: the distortion
control module, stage 1, stage 2. --set stage1/steps=1000 changes one of them. Each is a config, too: sdatc-dcm, which
needs nothing but videos, sdatc-stage1, sdatc-stage2.
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
        metavar="noise-bank FOLDER OUT | sdatc",
        help="collect noise from a folder's videos into a file; or train all of SDATC",
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
    if options.collect == [SDATC]:
        return _train_sdatc(options)
    if options.collect:
        return _collect(options)
    if not hasattr(options, "config"):
        raise SettingError(
            "Expected --config FILE, sdatc or noise-bank FOLDER OUT, got none; see textovsr train --help."
        )
    return _train(options)


def _train(options: argparse.Namespace) -> Outcome:
    from ..training.config_file import load_config

    named = [f"{name}={getattr(options, name)}" for name in ("data", "output") if hasattr(options, name)]
    config = load_config(options.config, [*getattr(options, "set", []), *named])
    options.output = config.output  # for what is said after Ctrl-C
    line = ProgressLine(sys.stderr, options.quiet)
    try:
        weights = _trainer(config)(config, line)
    finally:
        line.close()
    values = {"weights": str(weights), "steps": config.steps, "output": str(config.output)}
    return Outcome(values, "" if options.quiet else f"{weights}: {_use(weights)}")


def _trainer(config: "RunConfig") -> "Callable[..., Path]":
    from ..training import sdatc_config as sdatc
    from ..training.config import Stage2Config

    if isinstance(config, sdatc.SdatcDcmConfig):
        from ..training.sdatc_dcm import train
    elif isinstance(config, sdatc.SdatcStage1Config):
        from ..training.sdatc_stage1 import train  # type: ignore[assignment]
    elif isinstance(config, sdatc.SdatcStage2Config):
        from ..training.sdatc_stage2 import train  # type: ignore[assignment]
    elif isinstance(config, Stage2Config):
        from ..training.stage2 import train  # type: ignore[assignment]
    else:
        from ..training.stage1 import train  # type: ignore[assignment]
    return train


def _use(weights: Path) -> str:
    from ..models.sdatc.checkpoint import STAGE_FILES

    if weights.name in STAGE_FILES:
        return "put it into a folder of weights for the system sdatc, see `textovsr weights`"
    return f"use it with `textovsr upscale --weights {weights}`"


def _train_sdatc(options: argparse.Namespace) -> Outcome:
    from ..training import sdatc

    if hasattr(options, "config"):
        raise SettingError("Expected sdatc or --config, got both; --config sdatc-stage1 runs one stage alone.")
    options.output = Path(getattr(options, "output", "runs/sdatc"))
    named = [f"data={options.data}"] if hasattr(options, "data") else []
    line = ProgressLine(sys.stderr, options.quiet)

    def tell(text: str) -> None:
        line.close()
        if not options.quiet:
            say(text, sys.stderr)

    try:
        files = sdatc.train(options.output, [*getattr(options, "set", []), *named], line, tell)
    finally:
        line.close()
    values = {"weights": [str(path) for path in files], "output": str(options.output)}
    return Outcome(values, "" if options.quiet else "\n".join(f"{path}: {_use(path)}" for path in files))


def _collect(options: argparse.Namespace) -> Outcome:
    if len(options.collect) != 3 or options.collect[0] != NOISE_BANK:
        raise SettingError(f"Expected noise-bank FOLDER OUT or sdatc, got {' '.join(options.collect)}; correct it.")
    from ..training.noise_bank import SEQUENCES, collect, save_bank

    folder, output = Path(options.collect[1]), Path(options.collect[2])
    if output.suffix != ".safetensors":
        raise SettingError(f"Expected a .safetensors file to write, got {output}; change its suffix.")
    wanted = getattr(options, "sequences", SEQUENCES)
    if wanted < 1:
        raise SettingError(f"Expected at least 1 sequence, got {wanted}; correct --sequences.")

    def tell(text: str) -> None:
        if not options.quiet:
            say(text, sys.stderr)

    found = collect(folder, wanted, report=tell)
    save_bank(found, output)
    values = {"path": str(output), "sequences": len(found.sequences), "sources": found.sources}
    return Outcome(values, "" if options.quiet else f"{output}: {len(found.sequences)} sequences of noise")


def _interrupted(options: argparse.Namespace) -> str:
    return (
        "the last checkpoint is kept, the same command goes on after it"
        if options.collect in ([], [SDATC])
        else "nothing was written"
    )
