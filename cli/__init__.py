"""The command line: ``textovsr`` and the name of a module in this folder, ``upscale`` and the others.

Exit codes: 0 done; 1 an error that the message explains; 2 wrong usage; 130 interrupted, 143 terminated. On the way to
every code but 0 no output appears; finished segments of an upscaling are kept, and the same command goes on after
them. Heavy imports happen inside the commands.
"""

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from ..core.errors import TextOVSRError
from . import caption, degrade, describe, export, info, jobs, score, submit, train, upscale, weights
from .process import TerminatedError, finish_streams, open_standard_streams, say, terminated_politely

INTERRUPTED = 130
"""The exit code of a shell's command that Ctrl-C ended."""

TERMINATED = 143
"""The exit code of a shell's command that SIGTERM ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; docs/decisions.md says why
    open_standard_streams()
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(name)s: %(message)s")
    if not (options.verbose or sys.warnoptions):
        warnings.simplefilter("ignore")  # the libraries' own, which a user can do nothing about
    code = _run(options)
    finish_streams()
    return code


def _run(options: argparse.Namespace) -> int:
    try:
        with terminated_politely():
            outcome = options.run(options)
    except TextOVSRError as error:
        say(f"textovsr: {error}", sys.stderr)
        if options.json:
            say(json.dumps({"error": str(error)}), sys.stdout)
        return 1
    except KeyboardInterrupt as stop:
        say(f"textovsr: stopped; {options.interrupted(options)}.", sys.stderr)
        return TERMINATED if isinstance(stop, TerminatedError) else INTERRUPTED
    if options.json:
        say(json.dumps(outcome.values, indent=2), sys.stdout)
    elif outcome.text:
        say(outcome.text, sys.stdout)
    return 1 if outcome.failed else 0


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
        command.set_defaults(run=run, interrupted=lambda options: "nothing was written")
        return command

    upscale.add_options(add("upscale", upscale.run, "Restore a video and make it four times larger."))
    degrade.add_options(add("degrade", degrade.run, "Make a video worse on purpose, and write down how."))
    describe.add_options(add("describe", describe.run, "Say how a video was spoilt, shot by shot."))
    caption.add_options(add("caption", caption.run, "Say what is to be seen in a video, shot by shot."))
    info.add_options(add("info", info.run, "Say what a video file holds."))
    jobs.add_options(add("jobs", jobs.run, "List the unfinished jobs that stopped runs have left, or remove them."))
    score.add_options(add("score", score.run, "Measure how good a video is, by itself or against the true one."))
    submit.add_options(add("submit", submit.run, "Send files through a workflow on one or several ComfyUI servers."))
    train.add_options(add("train", train.run, "Train a network of your own, or collect noise for it."))
    export.add_options(add("export", export.run, "Write weights in the form that is quick on a CPU."))
    weights.add_options(add("weights", weights.run, "List weights, get those of the diffusion systems, convert them."))
    return parser
