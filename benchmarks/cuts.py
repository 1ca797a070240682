"""Are cuts found? Precision and recall on edited film and on cut lists made of real shots, and what is taken for a cut.

``python benchmarks/cuts.py FOLDER``: FOLDER holds what ``training/sources.py`` fetches (Big Buck Bunny, photographs).
The material is in two halves: ``--tune`` sweeps the two parameters on the one, without it the other is reported.
``--film`` runs through the film instead, whose cuts were marked by eye.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from common import machine, table
from cut_material import FILM_CUTS, FILM_FRAMES, Clip, decode, material

from textovsr.core.config import CUT_THRESHOLD
from textovsr.core.video import cuts


def to_image(frame: Clip) -> torch.Tensor:
    """(H,W,3) uint8 -> (3,H,W) in [0,1]."""
    return torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1).float() / 255


def count(clip: Iterable[Clip], marks: np.ndarray, threshold: float) -> np.ndarray:
    """Cuts found, wrongly found, missed; frames."""
    found = np.array([cut for _, cut in cuts.mark_cuts(clip, to_image, threshold)])
    return np.array([(found & marks).sum(), (found & ~marks).sum(), (~found & marks).sum(), len(found)])


def row(name: str, counts: np.ndarray) -> list[str]:
    """A row of the table."""
    found, wrong, missed, frames = (int(x) for x in counts)
    precision = f"{found / (found + wrong):.3f}" if found + wrong and found + missed else "-"
    recall = f"{found / (found + missed):.3f}" if found + missed else "-"
    return [name, str(frames), str(found + missed), str(wrong), str(missed), precision, recall]


def report(counts: dict[str, np.ndarray]) -> None:
    """Print the table and its sum."""
    rows = [row(name, value) for name, value in counts.items()]
    rows.append(row("all", np.sum(list(counts.values()), axis=0)))
    table(("material", "frames", "cuts", "wrong", "missed", "precision", "recall"), rows)


def sweep(folder: Path) -> None:
    """The two parameters on the half they are chosen on."""
    half, rows = list(material(folder, 0)), []
    for unrest in (0.4, 0.5, 0.6, 0.7):
        for threshold in (0.2, 0.25, 0.3, 0.35):
            cuts._UNREST = unrest
            counts = sum(count(clip, marks, threshold) for name, (clip, marks) in half if "shots of" not in name)
            rows.append([f"{unrest}", f"{threshold}", *row("", np.asarray(counts))[3:]])
    table(("share of the unrest", "threshold", "wrong", "missed", "precision", "recall"), rows)


def speed() -> None:
    """CPU time a frame: a still, and every picture another."""
    rows = []
    for width, height in ((320, 180), (1280, 720), (1920, 1080)):
        still = torch.rand(3, height, width)
        coarse = torch.rand(8, 3, 12, 16)
        moving = [torch.nn.functional.interpolate(scene[None], (height, width))[0] for scene in coarse]
        for name, pictures in (("still", [still] * 96), ("all new", moving * 12)):
            began = time.process_time()
            list(cuts.mark_cuts(pictures, lambda picture: picture))
            rows.append([f"{width}x{height}", name, f"{(time.process_time() - began) / 96 * 1000:.2f} ms"])
    table(("size", "pictures", "a frame"), rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--film", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}; threshold {CUT_THRESHOLD}\n")
    if options.tune:
        sweep(options.folder)
    elif options.film:
        marks = np.isin(np.arange(FILM_FRAMES), FILM_CUTS)
        report({"Big Buck Bunny": count(decode(options.folder / "bbb.mp4"), marks, CUT_THRESHOLD)})
    else:
        totals: dict[str, np.ndarray] = {}
        for name, (clip, marks) in material(options.folder, 1):
            totals[name] = totals.get(name, 0) + count(clip, marks, CUT_THRESHOLD)
        report(totals)
        speed()


if __name__ == "__main__":
    main()
