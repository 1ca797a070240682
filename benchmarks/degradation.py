"""Is it told how a video was spoilt? Known degradations of material that the estimator has not seen.

``python benchmarks/degradation.py FOLDER``: FOLDER holds what ``training/sources.py`` fetches. Tested are the held-out
photographs and the last part of the film, and the real-camera clips in tests/data/validate, all spoilt anew. What is
right is defined in ``core/degrade/estimator_truth.py``. In the three bins, nothing left counts as light.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import CLIPS, machine, read_clip, table
from torch import Tensor

from textovsr.core.degrade.estimator import ATTRIBUTES, LEVELS, Estimator, combine, load_estimator
from textovsr.core.degrade.estimator_truth import degrade_and_measure
from textovsr.models.degradation_net import FRAMES, load_degradation_net
from textovsr.training.degradation_data import Material, sample_chain

PHOTOGRAPH, PHOTOGRAPH_FRAMES = 512, 8
REAL_FRAMES = 12
STRIDE = 4
SEED = 20261


@dataclass(frozen=True)
class Case:
    """A spoilt clip (T,3,H,W) and what is left of each degradation, (5,)."""

    material: str
    clip: Tensor
    positions: Tensor


def originals(folder: Path, count: int) -> Iterator[tuple[str, Tensor]]:
    """``count`` clips of each kind of material, (T,3,H,W) with sides divisible by 16."""
    material, rng = Material(folder, film_clips=40, testing=True), np.random.default_rng(SEED)
    for _ in range(count):
        yield "photographs", material.pan(rng, PHOTOGRAPH, PHOTOGRAPH_FRAMES)
    for index in range(count):
        film = material.film[index % len(material.film)].float() / 255
        yield "film", film[..., : film.shape[-2] // 16 * 16, : film.shape[-1] // 16 * 16]
    real = {name: read_clip(f"{name}_hr", 2 * REAL_FRAMES) for name in CLIPS}
    for index in range(count):
        clip = real[CLIPS[index % len(CLIPS)]]
        first = int(rng.integers(0, len(clip) - REAL_FRAMES + 1))
        yield "real camera", clip[first : first + REAL_FRAMES]


def cases(folder: Path, count: int) -> Iterator[Case]:
    """Spoilt clips, as 8-bit video would hold them."""
    for index, (name, clip) in enumerate(originals(folder, count)):
        chain = sample_chain((clip.shape[-2], clip.shape[-1]), np.random.default_rng((SEED, index)))
        degraded, positions = degrade_and_measure(clip, chain, SEED + index)
        yield Case(name, (degraded.clamp(0, 1) * 255).round().byte(), positions)


def levels(positions: Tensor) -> Tensor:
    """(...,5) positions -> indices into ``LEVELS``."""
    return (positions[..., None] >= torch.tensor([attribute.borders for attribute in ATTRIBUTES])).sum(-1)


def judge(estimator: Estimator, case: Case) -> Tensor:
    """(5,) levels found, as ``describe_source`` finds them for a shot."""
    clip = case.clip.float() / 255
    places = range(0, len(clip) - FRAMES + 1, STRIDE)
    return torch.tensor(combine([estimator.judge(clip[t : t + FRAMES]) for t in places]).levels)


def scores(found: Tensor, right: Tensor) -> list[str]:
    """Cells of a row: exact and within one of three bins, exact if always the commonest, recall by bin, word said."""
    f, r = found.clamp(min=1), right.clamp(min=1)
    off = (f - r).abs()
    commonest = max(float((r == level).float().mean()) for level in (1, 2, 3))
    hits = [(f == level)[r == level].float() for level in (1, 2, 3)]
    recalls = [f"{float(hit.mean()):.0%}" if len(hit) else "-" for hit in hits]
    said = float(((found > 0) == (right > 0)).float().mean())
    shares = (float((off == 0).float().mean()), float((off <= 1).float().mean()), commonest)
    return [str(len(off)), *(f"{share:.1%}" for share in shares), *recalls, f"{said:.0%}"]


def report(material: list[str], found: Tensor, right: Tensor) -> None:
    """Print the tables: by attribute, and by material."""
    header = ("", "estimates", "exact", "within one", "always the commonest", *LEVELS[1:], "said or not")
    rows = [[a.name, *scores(found[:, k], right[:, k])] for k, a in enumerate(ATTRIBUTES)]
    rows.append(["all", *scores(found.flatten(), right.flatten())])
    table(header, rows)
    names = np.array(material)
    kinds = {name: torch.from_numpy(names == name) for name in dict.fromkeys(material)}
    table(header, [[name, *scores(found[m].flatten(), right[m].flatten())] for name, m in kinds.items()])


def metrics(found: Tensor, right: Tensor) -> dict[str, float | str]:
    """For the model card."""
    off = (found.clamp(min=1) - right.clamp(min=1)).abs()
    by_kind = {a.name: round(float((off[:, k] == 0).float().mean()), 3) for k, a in enumerate(ATTRIBUTES)}
    return {
        "exact": round(float((off == 0).float().mean()), 4),
        "within one": round(float((off <= 1).float().mean()), 4),
        **by_kind,
        "measured by": f"benchmarks/degradation.py, {len(off)} clips",
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=45, help="of each kind of material")
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--json", type=Path, help="a file for the metrics of the model card")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = options.weights and load_degradation_net(options.weights)
    estimator = Estimator(network, torch.device("cpu")) if network else load_estimator()
    material, found, right, seconds = [], [], [], 0.0
    for case in cases(options.folder, options.clips):
        began = time.process_time()
        found.append(judge(estimator, case))
        seconds += time.process_time() - began
        material.append(case.material)
        right.append(levels(case.positions))
    print(f"{machine()}; {seconds / len(found):.2f} s of CPU time a clip\n")
    report(material, torch.stack(found), torch.stack(right))
    if options.json:
        options.json.write_text(json.dumps(metrics(torch.stack(found), torch.stack(right)), indent=2), "utf-8")


if __name__ == "__main__":
    main()
