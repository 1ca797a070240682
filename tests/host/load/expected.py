"""What a job gives when nobody else asks for anything: made by the core alone, in this process."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from textovsr.core.config import FIDELITY, SUFFIX, EncodeConfig, RecurrentConfig, ResultConfig
from textovsr.core.degrade.config import DegradeConfig
from textovsr.core.degrade.video import FINE, DegradeJob, degrade_video
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.restorers.loading import load_restorer
from textovsr.core.transcode import save_video
from textovsr.tests.helpers.frames import decoded

from .plan import WINDOWS, Wish

Frames = list[tuple[Fraction, bytes]]

_ROOM = 1 << 30


def expected(wish: Wish, film: Path, weights: Path, folder: Path) -> Frames:
    """The frames that a wish must give, with their times; the server computes in one thread, and so does this."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return decoded(_make(wish, film, weights, folder))
    finally:
        torch.set_num_threads(before)


def _make(wish: Wish, film: Path, weights: Path, folder: Path) -> Path:
    settings = wish.settings
    if wish.kind == "copy":
        return film
    if wish.kind == "trim":
        output = folder / f"{wish.name}{film.suffix}"
        save_video(Source(film, settings["start"], settings["duration"]), output)
        return output
    if wish.kind == "degrade":
        output = folder / f"{wish.name}{SUFFIX[FINE.codec]}"
        config = DegradeConfig(**{"preset": "VHS", "seed": 1, **settings})
        degrade_video(Source(film), output, DegradeJob(config, FINE), lambda _: None)
        return output
    restorer = load_restorer(weights, RecurrentConfig(**WINDOWS), torch.device("cpu"), _ROOM, FIDELITY)
    job = _job(settings)
    output = folder / f"{wish.name}{SUFFIX[job.encode.codec]}"
    restore_video(Source(film), restorer, output, job, lambda _: None)
    return output


def _job(settings: dict[str, Any]) -> Job:
    result = ResultConfig(
        scale=int(settings.get("scale", 4)),  # type: ignore[arg-type]
        height=settings.get("target_height", 0),
        color_fix=settings.get("color_fix", "none"),
    )
    encode = replace(EncodeConfig(), codec=settings.get("codec", "h264"), bit_depth=int(settings.get("bit_depth", 0)))
    return Job(settings.get("caption", ""), settings.get("degradation_text", ""), result, encode)
