"""All systems side by side, at 1280x720 from 320x180: ``python benchmarks/systems.py [--memory 16]``. No GPU is needed.

Parameters, weights, work and memory with our default settings. Nothing is computed: the restorers run on the meta
device (``dry_run``), windows, overlaps, tiles, guidance and steps as they are, and what they would do is counted. A
frame's work is that of the second window over the frames that it yields; the texts are gone through once for all. A
multiplication and an addition are two operations.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from common import table
from dry_run import META, DryParts, DryRun, counting, weight_bytes
from full_size import SYSTEMS, builders, without_numbers
from torch import nn

from textovsr.core.config import SCALE, RecurrentConfig
from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, ShotFrame
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.restorers.systems import compute_dtype, exact_parts, make_diffusion_restorer
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.windows import WindowPlan
from textovsr.models.catalog import find_weights
from textovsr.models.registry import load_network
from textovsr.models.text_ovsr import TextOVSR

RECURRENT = ("textovsr-lite", "textovsr-base")
SIZE = 180, 320
SHARE = 0.8
"""Of a free card's memory that restorers may use beside their weights, see ``core.device``."""

_TEXT = "text"


@dataclass(frozen=True)
class Counted:
    """What a system is and does.

    Attributes:
        parameters: of all networks.
        plan: windows and tiles.
        text: operations for the texts, once.
        frame: operations of a frame of the result, by the network's name.
        stage: name of the networks that take most memory.
        weights: bytes of their weights.
        beside: the most bytes beside them.
    """

    parameters: int
    plan: WindowPlan
    text: int
    frame: dict[str, float]
    stage: str
    weights: int
    beside: int


def count_diffusion(system: str, memory: int, size: tuple[int, int] = SIZE) -> Counted:
    """Count a diffusion system on a card with so many bytes for what is beside the weights."""
    half = compute_dtype(system, torch.device("cuda"))
    exact = (*exact_parts(system), "flow")  # the flow goes through a copy in full precision
    networks = {
        name: without_numbers(build, torch.float32 if name in exact else half)
        for name, build in builders(system).items()
    }
    with counting(list(networks.values())) as run:
        parts = DryParts(networks, half, run)
        restorer = make_diffusion_restorer(system, parts, DiffusionSettings(), memory)
        return count(restorer, run, list(networks.values()), size)


def count_recurrent(name: str, memory: int, size: tuple[int, int] = SIZE) -> Counted:
    """Count a shipped network."""
    network = load_network(find_weights(name, []))
    assert isinstance(network, TextOVSR)
    network = network.to(META, torch.float16)
    with counting([network]) as run:
        run.begin("all", weight_bytes(network))
        return count(TextOVSRRestorer(network, RecurrentConfig(), META, memory, torch.float16), run, [network], size)


def count(restorer: Restorer, run: DryRun, networks: Sequence[nn.Module], size: tuple[int, int]) -> Counted:
    """Count two windows of a longer shot."""
    plan = restorer.plan(*size)
    frames = (ShotFrame(torch.zeros(3, *size)) for _ in range(2 * plan.length + plan.look_ahead + 1))
    totals = []
    for item in Restoration(restorer, plan, lambda: None, print).run(frames):
        if isinstance(item, Pause):
            run.close()
            totals.append({name: stage.flops for name, stage in run.stages.items()})
        if len(totals) == 2:
            break
    first, both = totals
    work = {name: (both[name] - first.get(name, 0)) / plan.length for name in both if name != _TEXT}
    name, stage = max(run.stages.items(), key=lambda item: item[1].weights + item[1].beside)
    parameters = sum(value.numel() for network in networks for value in network.parameters())
    return Counted(parameters, plan, both.get(_TEXT, 0), work, name, stage.weights, stage.beside)


def row(system: str, found: Counted) -> list[str]:
    """A row of the table."""
    plan, work = found.plan, found.frame
    tiles = ", ".join(str(SCALE * side) if side else "whole" for side in plan.tiles)
    sampling, total = work.get("denoiser", 0.0), sum(work.values())
    return [
        system,
        f"{found.parameters / 1e6:.0f}",
        f"{2 * found.parameters / 1e9:.2f}",
        f"{plan.length} + {plan.look_ahead}",
        tiles,
        f"{sampling / 1e12:.0f}" if sampling else "-",
        f"{(total - sampling) / 1e12:.{0 if sampling else 2}f}",
        f"{total / 1e12:.{0 if sampling else 2}f}",
        f"{found.text / 1e12:.2f}" if found.text else "-",
        f"{found.stage}: {found.weights / 1e9:.1f} + {found.beside / 1e9:.1f}",
    ]


def main() -> None:
    """Count what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", choices=(*RECURRENT, *SYSTEMS), default=[*RECURRENT, *SYSTEMS])
    parser.add_argument("--memory", type=float, default=16.0, help="of the card, in GB (default %(default)s)")
    options = parser.parse_args()
    memory = int(SHARE * options.memory * 1e9)
    head = ["system", "parameters, M", "weights, GB", "frames a window + ahead", "tiles, pixels of the result"]
    head += ["sampling, TFLOP a frame", "the rest", "together", "texts, once", "most memory, GB: weights + beside"]
    rows = []
    for system in options.systems:
        found = (count_recurrent if system in RECURRENT else count_diffusion)(system, memory)
        rows.append(row(system, found))
    table(head, rows)


if __name__ == "__main__":
    main()
