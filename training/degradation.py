"""Training the estimator of degradations: ``python -m textovsr.training.degradation FOLDER OUTPUT``.

FOLDER holds photographs and films. Examples are made first, into files in OUTPUT/examples, and kept: a run that was
stopped goes on with those there are. Then the network learns from them. About 25 minutes on two CPU cores.
Afterwards ``--publish METRICS``, the file that ``benchmarks/degradation.py --json`` writes, makes the file that ships.
"""

import argparse
import hashlib
import json
import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..core.degrade.estimator import ATTRIBUTES
from ..models.catalog import DEGRADATION, FOLDER
from ..models.degradation_net import DegradationNet, load_degradation_net
from ..models.registry import read_metadata, read_state_dict, save_weights
from . import data_process
from .degradation_data import Example, Material

log = logging.getLogger(__name__)

SHARD = 100
DATA = (
    "41 freely licensed photographs under a moving camera and 240 short pieces of the first three quarters of Big Buck "
    "Bunny at half its size; origin and licence of each in NOTICE and training/sources.py."
)
_SOFTNESS = 0.04


@dataclass(frozen=True)
class DegradationConfig:
    """A training run.

    Attributes:
        data: folder of photographs and films; what is held out is left.
        output: folder for the examples and the weights.
        examples: how many to make, in files of ``SHARD``.
        workers: processes that make them.
        epochs: passes over them.
        batch: examples a step.
        rate: the largest learning rate (AdamW; it rises over a tenth of the steps and falls to zero, cosine).
        seed: of everything random.
        initial: weights of an earlier run to go on from.
    """

    data: Path
    output: Path
    examples: int = 10_000
    workers: int = 2
    epochs: int = 10
    batch: int = 64
    rate: float = 2e-3
    seed: int = 1
    initial: Path | None = None


def make_examples(config: DegradationConfig) -> list[Path]:
    """Make the examples that are not there yet; returns all files.

    A file holds ``clip`` (100,3,3,64,64) uint8 and ``positions`` (100,5).
    """
    folder = config.output / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{shard:04d}.safetensors" for shard in range(math.ceil(config.examples / SHARD))]
    missing = [shard for shard, path in enumerate(paths) if not path.exists()]
    if not missing:
        return paths
    shards = _Shards(Material(config.data), missing, config.seed)
    loader = DataLoader(shards, batch_size=None, num_workers=config.workers, worker_init_fn=data_process.begin)
    for shard, tensors in zip(missing, loader, strict=True):
        partial = paths[shard].with_suffix(".partial")
        save_file(tensors, partial)
        partial.replace(paths[shard])
        log.info("examples %d/%d", (shard + 1) * SHARD, config.examples)
    return paths


class _Shards(Dataset[dict[str, Tensor]]):
    def __init__(self, material: Material, shards: list[int], seed: int) -> None:
        self._material, self._shards, self._seed = material, shards, seed

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        torch.set_num_threads(1)
        first = self._shards[index] * SHARD
        return stack([self._material.example(i, self._seed) for i in range(first, first + SHARD)])


def stack(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Examples as they are kept in a file."""
    clips, positions = [example.clip for example in examples], [example.positions for example in examples]
    return {"clip": torch.stack(clips), "positions": torch.stack(positions)}


def train(config: DegradationConfig, paths: Sequence[Path]) -> DegradationNet:
    """Train a network on files of examples; returns it in eval mode."""
    torch.manual_seed(config.seed)
    files = [load_file(path) for path in paths]
    clips, positions = (torch.cat([file[key] for file in files]) for key in ("clip", "positions"))
    network = load_degradation_net(config.initial) if config.initial else DegradationNet()
    network.requires_grad_(True).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), config.rate, weight_decay=0.02)
    steps = config.epochs * (len(clips) // config.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, max(steps, 20), pct_start=0.1)
    began, recent = time.monotonic(), 0.0
    for step in range(steps):
        if step % (len(clips) // config.batch) == 0:
            order = torch.randperm(len(clips))
        chosen = order[step * config.batch % (len(clips) // config.batch * config.batch) :][: config.batch]
        loss = border_loss(network(_augmented(clips[chosen])), positions[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            pace = (time.monotonic() - began) / (step + 1)
            log.info("step %d/%d loss %.4f, %.2f s a step", step + 1, steps, recent, pace)
    return network.eval()


def border_loss(logits: Tensor, positions: Tensor) -> Tensor:
    """Binary cross-entropy at every border, soft for what lies close to it.

    Args:
        logits: (B,5,3).
        positions: (B,5), see ``degrade_and_measure``.
    """
    borders = torch.tensor([attribute.borders for attribute in ATTRIBUTES])
    targets = ((positions[:, :, None] - borders) / _SOFTNESS).sigmoid()
    return F.binary_cross_entropy_with_logits(logits, targets)


def _augmented(clips: Tensor) -> Tensor:
    """(B,3,3,H,W) uint8 -> [0,1], mirrored, turned and run backwards at random; the whole batch alike."""
    clips = clips.float() / 255
    for dims in ((3,), (4,), (1,)):
        if torch.rand(()) < 0.5:
            clips = clips.flip(dims)
    return clips.transpose(3, 4) if torch.rand(()) < 0.5 else clips


def publish(weights: Path, metrics: Path, hours: str, hardware: str) -> Path:
    """Write the file that ships, its model card in the header; returns it, and logs its SHA-256.

    Args:
        weights: what ``main`` saved.
        metrics: JSON of ``benchmarks/degradation.py``.
        hours: that making the examples and training took.
        hardware: on which.
    """
    target = FOLDER / DEGRADATION.file
    card = {
        "format": "pt",
        "name": DEGRADATION.name,
        "licence": DEGRADATION.licence,
        "data": DATA,
        "recipe": read_metadata(weights)["recipe"],
        "metrics": json.dumps(json.loads(metrics.read_text("utf-8"))),
        "hours": hours,
        "hardware": hardware,
    }
    save_weights(read_state_dict(weights), target, card)
    log.info("%s\nSHA-256 %s", target, hashlib.sha256(target.read_bytes()).hexdigest())
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; make examples, train and save, or publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    defaults = DegradationConfig(Path(), Path())
    for name in ("examples", "workers", "epochs", "batch", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    parser.add_argument("--rate", type=float, default=defaults.rate)
    parser.add_argument("--initial", type=Path)
    parser.add_argument("--publish", type=Path, metavar="METRICS")
    parser.add_argument("--hours", default="unknown")
    parser.add_argument("--hardware", default="unknown")
    options = vars(parser.parse_args(arguments))
    metrics, hours, hardware = (options.pop(name) for name in ("publish", "hours", "hardware"))
    config = DegradationConfig(**options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    weights = config.output / "degradation.safetensors"
    if metrics is not None:
        publish(weights, metrics, hours, hardware)
        return 0
    network = train(config, make_examples(config))
    recipe = ", ".join(f"{key} {value}" for key, value in asdict(config).items() if key not in {"data", "output"})
    save_weights(network.state_dict(), weights, {"format": "pt", "recipe": recipe})
    return 0


if __name__ == "__main__":
    sys.exit(main())
