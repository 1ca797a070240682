"""What the commands share."""

import argparse
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Config = TypeVar("Config")


@dataclass(frozen=True)
class Outcome:
    """What a command found or did, for programs and for people; ``failed`` if not all of it went well."""

    values: Any
    text: str
    failed: bool = False


def given(kind: type[Config], options: argparse.Namespace, **further: Any) -> Config:
    """A configuration of the options that were given; the rest keep their defaults."""
    names = (f.name for f in fields(kind) if f.init)  # type: ignore[arg-type]  # every one is a dataclass
    return kind(**{name: getattr(options, name) for name in names if hasattr(options, name)}, **further)
