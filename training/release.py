"""Turn a training run's weights into a file that ships: a model card in its header, and its SHA-256 for the catalogue.

``python -m textovsr.training.release RUN/weights.safetensors NAME --metrics metrics.json --hardware CPU --hours 1``
writes ``models/weights/textovsr-lite.safetensors``; ``benchmarks/quality.py --json`` makes the metrics.
"""

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..models.catalog import DETAIL, FOLDER
from ..models.registry import read_metadata, read_state_dict, save_weights

log = logging.getLogger(__name__)

DATA = (
    "50 freely licensed pictures, animated, and 110 clips of Big Buck Bunny at half its size; each with origin and "
    "licence in NOTICE and training/sources.py."
)
INITIAL = " SPyNet, and with 64 channels the recurrence, initialised from BasicVSR_REDS4 (Apache-2.0)."
"""What is to be said of TextOVSR's besides."""


def release(weights: Path, name: str, card: dict[str, str]) -> Path:
    """Write the shipped file; returns it. A detail end holds only the tensors that differ from its fidelity end's.

    Args:
        weights: what ``train`` of ``stage1``, ``stage2`` or ``sdatc_dcm`` returned, its recipe in the header.
        name: what users choose; with ``-detail`` for the detail end of a network that ships.
        card: hardware, hours and metrics (JSON), by those names.
    """
    recipe = read_metadata(weights)["recipe"]
    target = FOLDER / f"{name}.safetensors"
    data = DATA if '"stage": "sdatc-dcm"' in recipe else DATA + INITIAL
    header = {"format": "pt", "name": name, "licence": "Apache-2.0", "data": data, "recipe": recipe, **card}
    save_weights(_different(read_state_dict(weights), name), target, header)
    log.info("%s\nSHA-256 %s", target, hashlib.sha256(target.read_bytes()).hexdigest())
    return target


def _different(state_dict: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    fidelity = FOLDER / f"{name.removesuffix(DETAIL)}.safetensors"
    if not name.endswith(DETAIL):
        return state_dict
    own = read_state_dict(fidelity)
    return {key: value for key, value in state_dict.items() if not torch.equal(value, own[key])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--hardware", required=True)
    parser.add_argument("--hours", required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    metrics = json.dumps(json.loads(options.metrics.read_text("utf-8")))
    release(options.weights, options.name, {"metrics": metrics, "hardware": options.hardware, "hours": options.hours})
    return 0


if __name__ == "__main__":
    sys.exit(main())
