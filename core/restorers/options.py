"""Any setting of a system by its name, for those that have no widget: ``curve=cut, context=0``."""

import re
from dataclasses import fields, replace
from typing import Any, TypeVar

from ..errors import SettingError

Config = TypeVar("Config")

_BETWEEN = re.compile(r"[,\n]\s*(?=\w+\s*=)")
"""What separates two settings; a text among the values may hold commas."""

_WORDS = {"true": True, "yes": True, "false": False, "no": False}


def with_options(config: Config, text: str) -> Config:
    """A configuration with some of its settings changed.

    Args:
        config: a frozen dataclass; settings that are neither numbers, words nor switches cannot be changed by name.
        text: ``name=value``, separated by commas or line breaks; may be empty. A value may hold commas.

    Raises:
        SettingError: something is not of this form, there is no such setting, or it cannot have this value.
    """
    changed: dict[str, Any] = {}
    for part in filter(None, _BETWEEN.split(text.strip(" ,\n"))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        known = _changeable(config)
        if not equals or name not in known:
            raise SettingError(
                f"Expected options such as {_example(known)}, got {part!r}; there are {', '.join(sorted(known))}."
            )
        changed[name] = _read(name, value, known[name])
    return replace(config, **changed) if changed else config  # type: ignore[type-var]


def _changeable(config: object) -> dict[str, Any]:
    values = {field.name: getattr(config, field.name) for field in fields(config)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if isinstance(value, bool | int | float | str)}


def _example(known: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in list(known.items())[:2])


def _read(name: str, text: str, present: Any) -> Any:
    """The value as the kind that the present one is of."""
    try:
        return _WORDS[text.lower()] if isinstance(present, bool) else type(present)(text)
    except (KeyError, ValueError) as error:
        kind = {bool: "yes or no", int: "a whole number", float: "a number"}[type(present)]
        raise SettingError(f"Expected {kind} for {name}, got {text!r}; correct the option.") from error
