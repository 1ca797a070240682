"""All of SDATC's training in one go: the DCM's warm-up, stage 1, stage 2, each from what the one before left."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import SettingError
from ..models.registry import read_metadata
from ..models.sdatc.checkpoint import STAGE_FILES
from . import sdatc_dcm, sdatc_stage1, sdatc_stage2
from .config import RunConfig
from .config_file import load_config
from .run import Report
from .sdatc_config import SdatcDcmConfig, SdatcStage1Config, SdatcStage2Config

STAGES = ("dcm", "stage1", "stage2")
"""As their folders are called, and their configs after ``sdatc-``."""

_KINDS = dict(zip(STAGES, (SdatcDcmConfig, SdatcStage1Config, SdatcStage2Config), strict=True))
_FILES = dict(zip(STAGES, ("weights.safetensors", *STAGE_FILES), strict=True))


def load_stages(output: Path, changes: Sequence[str]) -> dict[str, RunConfig]:
    """The settings of all stages, each from the config of the pack.

    Args:
        output: folder of the stages' folders.
        changes: ``key=value`` for every stage that has such a setting, ``stage1/key=value`` for one.

    Raises:
        SettingError: a key or a value that cannot be, or Stable Diffusion is not where it is said to be.
    """
    configs: dict[str, Any] = {}
    for stage, kind in _KINDS.items():
        own = [f"output={json.dumps(str(output / stage))}"]
        if configs:
            before = STAGES[len(configs) - 1]
            own.append(f"start={json.dumps(str(output / before / _FILES[before]))}")
        configs[stage] = load_config(f"sdatc-{stage}", [*own, *_changes_of(stage, kind, changes)])
    base = configs["stage1"].base.unet
    if not base.is_file():
        raise SettingError(
            f"Expected Stable Diffusion 2.1 base at {base}, got none; --set base.unet=FILE names it, and "
            "`textovsr weights` says where it is published. --config sdatc-dcm trains the distortion control module "
            "alone, without it."
        )
    return configs


def train(
    output: Path, changes: Sequence[str], report: Report | None = None, tell: Callable[[str], None] = print
) -> list[Path]:
    """Run all stages, or go on with them.

    Args:
        output: folder of the stages' folders.
        changes: see ``load_stages``.
        report: is told now and then how far a stage is.
        tell: is told which stage begins.

    Returns:
        The files of the stages.
    """
    runs: dict[str, Any] = {"dcm": sdatc_dcm.train, "stage1": sdatc_stage1.train, "stage2": sdatc_stage2.train}
    files = []
    for stage, config in load_stages(output, changes).items():
        path = config.output / _FILES[stage]
        if _steps(path) < config.steps:
            tell(f"sdatc-{stage}: {config.steps} steps")
            path = runs[stage](config, report)
        files.append(path)
    return files


def _changes_of(stage: str, kind: type[RunConfig], changes: Sequence[str]) -> Iterator[str]:
    names = [field.name for field in dataclasses.fields(kind)]
    known = [field.name for other in _KINDS.values() for field in dataclasses.fields(other)]
    for change in changes:
        place, slash, _ = change.partition("=")[0].partition("/")
        if slash and place in STAGES:
            if place == stage:
                yield change[len(place) + 1 :]
        elif (key := change.partition("=")[0].split(".")[0]) in names or key not in known:
            yield change


def _steps(path: Path) -> int:
    """How many steps trained the weights of a file; 0 if there is none."""
    return int(json.loads(read_metadata(path)["recipe"])["step"]) if path.is_file() else 0
