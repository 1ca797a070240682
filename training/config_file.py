"""Read a run's settings from TOML or JSON; what is not known or not possible is an error that says where."""

import dataclasses
import json
import math
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..core.errors import MissingDependencyError, SettingError
from ..models.sdatc.config import SdatcNetConfig
from ..models.sdatc.dcm import DcmConfig
from ..models.text_ovsr_config import TextOVSRConfig
from .config import NETWORKS, RunConfig, Stage2Config, TrainConfig
from .sdatc_config import DCMS, SdatcDcmConfig, SdatcStage1Config, SdatcStage2Config

EXAMPLES = Path(__file__).parent / "configs"
"""Configs that come with the pack and can be named without their folder."""

_STAGES: dict[int | str, type[RunConfig]] = {
    1: TrainConfig,
    2: Stage2Config,
    "sdatc-dcm": SdatcDcmConfig,
    "sdatc-stage1": SdatcStage1Config,
    "sdatc-stage2": SdatcStage2Config,
}
_PRESETS: dict[Any, Mapping[str, Any]] = {TextOVSRConfig: NETWORKS, DcmConfig: DCMS}
_NAMES = ("start", "text_encoder")  # that may be paths


def load_config(source: str, changes: Sequence[str] = ()) -> RunConfig:
    """The settings of a run, of the class that belongs to its stage.

    Args:
        source: a .toml or .json file, or the name of one that comes with the pack.
        changes: ``key=value`` or ``table.key=value``, put over what the file says.

    Raises:
        SettingError: there is no such file, it cannot be read, or holds a key or a value that cannot be.
        MissingDependencyError: TOML on Python 3.10 without the package tomli.
    """
    path = find_config(source)
    table = _read(path)
    for change in changes:
        _change(table, change)
    stage = table.pop("stage", 1)
    if isinstance(stage, bool) or not isinstance(stage, int | str) or stage not in _STAGES:
        known = " or ".join(map(str, _STAGES))
        raise SettingError(f"Expected stage to be {known}, got {stage!r} in {path.name}; correct it.")
    return build(_STAGES[stage], table, path.name)


def find_config(source: str) -> Path:
    """The file of a name; see ``load_config``."""
    path = Path(source).expanduser()
    for candidate in (path, *(EXAMPLES / f"{source}{suffix}" for suffix in ("", ".toml", ".json"))):
        if candidate.is_file():
            return candidate
    known = ", ".join(sorted(example.stem for example in EXAMPLES.glob("*.toml")))
    raise SettingError(f"Expected a config file, got {source!r}, which is none; write one, or choose {known}.")


def build(kind: Any, table: Any, where: str) -> Any:
    """A dataclass of a table; every key must be a field and every value of the field's type."""
    if not isinstance(table, Mapping):
        raise SettingError(f"Expected a table at {where}, got {table!r}; see docs/training.md.")
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    unknown = [key for key in table if key not in names]
    if unknown:
        raise SettingError(f"Expected keys among {', '.join(names)} in {where}, got {unknown[0]!r}; correct it.")
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    needed = [f.name for f in dataclasses.fields(kind) if not (_has_default(f) or f.name in values)]
    if needed:
        raise SettingError(f"Expected {needed[0]} in {where}, got none; add it.")
    try:
        return kind(**values)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


def to_table(config: Any) -> dict[str, Any]:
    """The settings as plain values, fit for JSON; paths as names only, since a checkpoint's header is for others."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=lambda path: path.name))
    if isinstance(config, RunConfig):
        plain |= {name: Path(plain[name]).name for name in _NAMES if name in plain}
        plain["stage"] = next(stage for stage, kind in _STAGES.items() if type(config) is kind)
    return plain


def _has_default(field: Any) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
    if hint in _PRESETS:
        return _network(hint, value, where)
    if hint is SdatcNetConfig and isinstance(value, Mapping):
        return SdatcNetConfig.from_dict(dict(value))
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise SettingError(f"Expected {where} to be {' or '.join(get_args(hint))}, got {value!r}; choose one.")
        return value
    if hint is Path and isinstance(value, str) and value:
        return Path(value).expanduser()
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is float and number:
        return float(value)
    if isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    words = {float: "a number", int: "a whole number", Path: "a path"}
    raise SettingError(f"Expected {where} to be {words.get(hint, hint.__name__)}, got {value!r}; correct it.")


def _network(kind: Any, value: Any, where: str) -> Any:
    """``"lite"``, or a table of fields that starts from a ``preset``."""
    presets = _PRESETS[kind]
    table = {"preset": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else {}
    preset = table.pop("preset", None)
    if preset not in presets:
        raise SettingError(f"Expected {where} to name {', '.join(presets)} as its preset, got {value!r}; choose one.")
    base = {f.name: getattr(presets[preset], f.name) for f in dataclasses.fields(kind)}
    text = table.pop("text", {})
    if text:
        inner = presets[preset].text
        base["text"] = build(type(inner), {**dataclasses.asdict(inner), **text}, f"{where}.text")
    changed = build(kind, table, where) if kind is TextOVSRConfig else build(kind, {**base, **table}, where)
    return kind(**{**base, **{key: getattr(changed, key) for key in table}})


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        table = json.loads(text) if path.suffix == ".json" else _toml().loads(text)
    except (OSError, ValueError) as error:  # the decoders' errors are ValueErrors
        raise SettingError(f"Expected settings in {path}, got what cannot be read: {error}; correct it.") from error
    if not isinstance(table, dict):
        raise SettingError(f"Expected a table of settings in {path}, got {type(table).__name__}; see docs/training.md.")
    return table


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    try:
        import tomli
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package tomli to read TOML on Python 3.10, found none; run `pip install tomli`, or use JSON."
        ) from error
    return tomli


def _change(table: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *tables, key = name.split(".")
    if not equals or not key:
        raise SettingError(f"Expected key=value, got {change!r}; for example optimizer.rate=1e-4.")
    for part in tables:
        inner = table.setdefault(part, {})
        if isinstance(inner, str) and part == "network":
            inner = table[part] = {"preset": inner}
        if not isinstance(inner, dict):
            raise SettingError(f"Expected a table at {part}, got {inner!r}; correct {change!r}.")
        table = inner
    try:
        table[key] = json.loads(text)
    except ValueError:
        table[key] = text
