"""Looking at the averaged weights every so often: the same clips each time, as figures and as pictures."""

import csv
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.quality.fidelity import psnr_y, ssim_y
from ..models.text_ovsr import TextOVSR
from .config import RunConfig
from .data import ClipDataset, Sample, collate, to_device
from .forward import clean, embed, restore
from .material import Material

log = logging.getLogger(__name__)

SEED = 0x76616C6964
"""Of the clips looked at: the same in every run on the same material."""


_FIGURES = ("psnr_y", "ssim_y", "bicubic_psnr_y")


@dataclass
class Validation:
    """Figures into ``validation.csv`` and pictures (before, after, truth) into ``pictures/``, in the run's folder.

    Attributes:
        config: of the run.
        material: what is looked at; nothing is looked at where there is none.
        device: where to compute.
        latest: the newest figures.
    """

    config: RunConfig
    material: Material
    device: torch.device
    latest: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.config.validation.every and not self.material:
            log.warning(
                "There is too little material to hold some back: no validation (validation.data names a folder)."
            )

    def due(self, step: int, last: bool) -> bool:
        """Whether to look after a step."""
        every = self.config.validation.every
        return bool(every and self.material) and (last or step % every == 0)

    @torch.no_grad()
    def look(self, net: Any, step: int, losses: Mapping[str, float]) -> None:
        """Restore the clips, write figures and pictures.

        Args:
            net: in eval mode.
            step: steps done.
            losses: of the training, written beside the figures.
        """
        figures: list[dict[str, float]] = []
        for number, sample in enumerate(self._samples):
            out = self._restore(net, sample)
            before = F.interpolate(sample.lr, size=sample.hr.shape[-2:], mode="bicubic", antialias=False).clamp(0, 1)
            figures.append(
                {
                    "psnr_y": psnr_y(out, sample.hr),
                    "ssim_y": ssim_y(out, sample.hr),
                    "bicubic_psnr_y": psnr_y(before, sample.hr),
                }
            )
            middle = sample.hr.shape[0] // 2
            self._draw((before[middle], out[middle], sample.hr[middle]), step, number)
        self.latest = {name: float(np.mean([figure[name] for figure in figures])) for name in figures[0]}
        self._write({"step": step, **self.latest, **losses})
        log.info("step %d: %s", step, ", ".join(f"{name} {value:.3f}" for name, value in self.latest.items()))

    def forget_after(self, step: int) -> None:
        """Take out rows of later steps, which a run that was killed had not saved."""
        rows = [row for row in self._rows() if int(row["step"]) <= step]
        if rows:
            self._store(rows)
            self.latest = {name: float(rows[-1][name]) for name in _FIGURES}
        else:
            self._file.unlink(missing_ok=True)

    @cached_property
    def _samples(self) -> list[Sample]:
        dataset = self._dataset()
        return [dataset[index] for index in range(self.config.validation.clips)]

    @property
    def _file(self) -> Path:
        return self.config.output / "validation.csv"

    def _dataset(self) -> ClipDataset:
        return ClipDataset(self.material, replace(self.config.clips, text=1.0), SEED)

    def _restore(self, net: TextOVSR, sample: Sample) -> Tensor:
        batch = to_device(collate([sample]), self.device)
        cleaned = clean(net, batch.lr)
        return restore(net, cleaned, embed(net, batch.prompts, cleaned.shape[1]))[0].float().clamp(0, 1).cpu()

    def _draw(self, frames: tuple[Tensor, Tensor, Tensor], step: int, number: int) -> None:
        from PIL import Image

        folder = self.config.output / "pictures"
        folder.mkdir(exist_ok=True)
        strip = (torch.cat(frames, dim=2) * 255).round().byte().permute(1, 2, 0)  # (C,H,W) -> (H,W,C)
        Image.fromarray(strip.numpy()).save(folder / f"clip{number}-step{step:07}.png")

    def _write(self, row: Mapping[str, float]) -> None:
        self._store([*self._rows(), {name: f"{value:.6g}" for name, value in row.items()}])

    def _rows(self) -> list[dict[str, str]]:
        if not self._file.is_file():
            return []
        with self._file.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def _store(self, rows: list[dict[str, str]]) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        partial = self._file.with_suffix(".partial")
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self._file)
