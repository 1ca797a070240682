"""``textovsr weights``: the weights to choose from, and finding one of them."""

import argparse
import os
from pathlib import Path

from ..models.catalog import SHIPPED, find_weights, list_weights
from .common import Outcome

WEIGHTS_FOLDERS = "TEXTOVSR_WEIGHTS"
"""Environment variable: folders of weights files, separated as in PATH."""


def run(options: argparse.Namespace) -> Outcome:
    """List weights."""
    folders = weights_folders()
    entries = [{"name": s.name, "licence": s.licence, "purpose": s.purpose} for s in SHIPPED]
    shipped = {entry["name"] for entry in entries}
    for name in list_weights(folders):
        if name not in shipped:
            entries.append({"name": name, "licence": "unknown", "purpose": f"a file in {WEIGHTS_FOLDERS}"})
    width = max(len(entry["name"]) for entry in entries)
    return Outcome(entries, "\n".join(f"{e['name']:<{width}}  {e['licence']:<12}{e['purpose']}" for e in entries))


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
