"""Stage 2: the detail end. The losses of stage 1, VGG, CLIP-IQA, and a discriminator (``specs`` of TextOVSR, 4)."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..models.ted import TED
from .clip_iqa import ClipIqaLoss, load_clip_iqa
from .config import Stage2Config
from .data import Batch
from .forward import pooled
from .losses import adversarial_loss, matching_loss
from .run import Report, Run, open_run
from .stage1 import compute, fidelity_losses
from .vgg import PerceptualLoss, load_perceptual

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Critics:
    """Who judges the result beside the truth; None where that loss is off."""

    perceptual: PerceptualLoss | None
    clip_iqa: ClipIqaLoss | None
    ted: TED | None


def train(config: Stage2Config, report: Report | None = None) -> Path:
    """Run, or resume, stage 2; arguments, result and errors as in ``stage1.train``."""
    with open_run(config) as run:
        critics, opponent = _critics(config, run)
        run.resume({"discriminator": critics.ted, "discriminator_optimizer": opponent} if opponent else {})
        for batches in run.steps(report):
            results = [_teach_network(run, config, critics, batch) for batch in batches]
            run.update()
            if critics.ted is None or opponent is None:
                continue
            for batch, out in zip(batches, results, strict=True):
                _teach_discriminator(run, critics.ted, batch, out)
            opponent.step()
            opponent.zero_grad(set_to_none=True)
        return run.weights


def _teach_network(run: Run, config: Stage2Config, critics: Critics, batch: Batch) -> Tensor:
    """Gradients for the network from a batch; returns the result without them."""
    weights, more = config.losses, {}
    with run.precision():
        results = compute(run.net, batch, weights)
        out = results.out
        if critics.perceptual is not None:
            more["perceptual"] = critics.perceptual(out, batch.hr)
        if critics.clip_iqa is not None:
            more["clip_iqa"] = critics.clip_iqa(out)
        if critics.ted is not None:
            more |= _against(critics.ted, run, config, batch, out)
    losses = fidelity_losses(results, batch, weights)
    total = losses["loss"] + sum(getattr(weights, name) * value for name, value in more.items())
    (total / config.accumulate).backward()
    run.note({**losses, **more, "loss": total})
    return out.detach()


def _against(ted: TED, run: Run, config: Stage2Config, batch: Batch, out: Tensor) -> dict[str, Tensor]:
    """What the discriminator makes of the result; it learns nothing from that."""
    ted.requires_grad_(False)
    features = ted.features(out.flatten(0, 1))
    logits = ted.judge(features[-1], pooled(run.net, batch.prompts, out.shape[1]))
    losses = {"adversarial": adversarial_loss(logits.float(), real=True)}
    if config.losses.matching:
        with torch.no_grad():
            true = ted.features(batch.hr.flatten(0, 1))
        losses["matching"] = matching_loss([x.float() for x in features], [x.float() for x in true])
    return losses


def _teach_discriminator(run: Run, ted: TED, batch: Batch, out: Tensor) -> None:
    """Gradients for the discriminator: the plain truth is real, the result is made."""
    ted.requires_grad_(True)
    text = pooled(run.net, batch.prompts, out.shape[1])
    for name, clip in (("real", batch.hr), ("made", out)):
        with run.precision():
            logits = ted(clip.flatten(0, 1), text).float()
            loss = adversarial_loss(logits, real=name == "real")
        (loss / run.config.accumulate).backward()
        run.note({f"discriminator_{name}": loss})


def _critics(config: Stage2Config, run: Run) -> tuple[Critics, torch.optim.Adam | None]:
    """The critics that are wanted and there; says which are not."""
    weights, device = config.losses, run.device
    perceptual = clip_iqa = ted = opponent = None
    if weights.perceptual and config.vgg is None:
        log.warning("The perceptual loss is off: no VGG19 on this disk (vgg = ...; docs/training.md says where from).")
    elif weights.perceptual and config.vgg is not None:
        perceptual = load_perceptual(config.vgg).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if weights.clip_iqa and config.clip is None:
        log.warning(
            "The CLIP-IQA loss is off: no CLIP RN50 on this disk (clip = ...; docs/training.md says where from)."
        )
    elif weights.clip_iqa and config.clip is not None:
        clip_iqa = load_clip_iqa(config.clip).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if weights.adversarial or weights.matching:
        ted = TED(run.net.config.text.width, config.discriminator.channels).to(device)
        ted.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        opponent = torch.optim.Adam(
            [{"params": list(ted.parameters()), "peak": config.discriminator.rate, "frozen": 0}], betas=(0.9, 0.99)
        )
    return Critics(perceptual, clip_iqa, ted), opponent
