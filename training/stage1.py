"""Stage 1: the fidelity end. Pixel and cleaning losses and the negative branch (``specs`` of TextOVSR, 3 and 4)."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..models.text_ovsr import TextOVSR
from .config import Losses, TrainConfig
from .data import Batch
from .forward import clean, embed, restore, restore_negative
from .losses import charbonnier, cleaning_loss, edge_loss, sharpened, temporal_loss
from .negative import spoil
from .run import Report, open_run


def train(config: TrainConfig, report: Report | None = None) -> Path:
    """Run, or resume, stage 1.

    Args:
        config: the settings.
        report: is told now and then how far it is.

    Returns:
        The file of the averaged weights (safetensors; recipe, data and figures in its header).

    Raises:
        SettingError, WeightsError: what the config names is not there or does not fit.
        JobRunningError: another process trains in the same folder.
    """
    with open_run(config) as run:
        run.resume()
        for batches in run.steps(report):
            for batch in batches:
                with run.precision():
                    results = compute(run.net, batch, config.losses)
                losses = fidelity_losses(results, batch, config.losses)
                (losses["loss"] / config.accumulate).backward()
                run.note(losses)
            run.update()
        return run.weights


class Results(NamedTuple):
    """What the network makes of a batch: the clip (B,T,3,4H,4W), the cleaned frames, and the negative branch's clip."""

    out: Tensor
    cleaned: Tensor
    negative: Tensor | None


def compute(net: TextOVSR, batch: Batch, weights: Losses) -> Results:
    """Restore a batch; the negative branch only where it counts. Losses are not for low precision: fp32 comes out."""
    frames = batch.lr.shape[1]
    cleaned = clean(net, batch.lr)
    out = restore(net, cleaned, embed(net, batch.prompts, frames))
    negative = None
    if weights.negative and batch.noise.numel():
        spoilt = spoil(cleaned, batch.noise, batch.turns)
        negative = restore_negative(net, spoilt, embed(net, batch.degradations, frames)).float()
    return Results(out.float(), cleaned.float(), negative)


def fidelity_losses(results: Results, batch: Batch, weights: Losses) -> dict[str, Tensor]:
    """How far a batch's results are from the truth.

    Returns:
        Every loss without its weight, by its name, and their weighted sum as ``loss``; none of weight 0 is computed.
    """
    out, losses = results.out, {}
    truth = sharpened(batch.hr, weights.sharpen)
    if weights.pixel:
        losses["pixel"] = charbonnier(out, truth)
    if weights.cleaning:
        losses["cleaning"] = cleaning_loss(results.cleaned, batch.hr)
    if results.negative is not None:
        losses["negative"] = (results.negative - out).abs().mean()
    if weights.edges:
        losses["edges"] = edge_loss(out, truth)
    if weights.temporal:
        losses["temporal"] = temporal_loss(out, batch.hr)
    total = sum((getattr(weights, name) * value for name, value in losses.items()), out.new_zeros(()))
    return {**losses, "loss": total}
