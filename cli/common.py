"""What the commands share."""

import argparse
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import OutputError
from ..core.existing import check_new

Config = TypeVar("Config")

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Outcome:
    """What a command found or did, for programs and for people; ``failed`` if not all of it went well."""

    values: Any
    text: str
    failed: bool = False


def printable(text: str) -> str:
    """A text whose characters that steer a terminal are seen instead: files and servers choose their own words."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def given(kind: type[Config], options: argparse.Namespace, **further: Any) -> Config:
    """A configuration of the options that were given; the rest keep their defaults."""
    names = (f.name for f in fields(kind) if f.init)  # type: ignore[arg-type]  # every one is a dataclass
    return kind(**{name: getattr(options, name) for name in names if hasattr(options, name)}, **further)


def seconds(value: str) -> float:
    """An option's value: a time of at least 0."""
    time = float(value)
    if not (math.isfinite(time) and time >= 0):
        raise argparse.ArgumentTypeError(f"Expected seconds of at least 0, got {value}.")
    return time


def check_output(output: Path, inputs: Iterable[Path], overwrite: bool) -> None:
    """Find out before anything heavy is imported that a result could not be written; see ``check_folder`` too.

    Raises:
        OutputError: ``output`` is a folder, or one of the inputs.
        OutputExistsError: it exists, and is not to be replaced.
    """
    if output.is_dir():
        raise OutputError(f"Expected a file to write, got the folder {output}; add a name.")
    if output.exists() and any(path.exists() and output.samefile(path) for path in inputs):
        raise OutputError(f"Expected an output other than the input, got {output} for both; choose another name.")
    if not overwrite:
        check_new(output)
