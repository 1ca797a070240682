"""SDATC's stage 2: the decoder's mixing of frames, its prompts and its wrapping of features, by sampled latents."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UnknownCheckpointError
from ..core.motion.config import MotionConfig
from ..core.motion.flow import Flow, find_clip_motion
from ..core.motion.networks import load_flow_net
from ..models.registry import read_metadata, read_state_dict
from ..models.sdatc.checkpoint import STAGE_FILES, build_stage1, find_stage, read_header, save_stage
from ..models.sdatc.config import LATENT_SCALE
from ..models.sdatc.dcm import Dcm
from ..models.sdatc.vae import SdatcVae
from ..models.ted import TED
from .checkpoint import describe
from .config import ValidationConfig
from .losses import adversarial_loss, structure_weighted_warp_loss, temporal_loss
from .material import Material, find_material
from .run import Report, Run, open_run
from .sdatc_config import SdatcStage2Config
from .sdatc_data import CompressedClips, frames_of, parameter_groups
from .sdatc_networks import Learning, load_base, to_latents, vae_parameters
from .sdatc_pairs import Pair, PairClips, Sampling, make_pairs, move, stack
from .validation import Validation
from .vgg import PerceptualLoss, load_perceptual

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage2:
    """The networks, on the device; None where a loss is off.

    Attributes:
        dcm: of stage 1, as it is.
        vae: its decoder learns what it was given.
        perceptual: compares features.
        ted: the discriminator, which is told no text.
        opponent: its optimiser.
        flow: finds the truth's motion.
    """

    dcm: Dcm
    vae: SdatcVae
    perceptual: PerceptualLoss | None
    ted: TED | None
    opponent: torch.optim.Adam | None
    flow: Flow | None


def train(config: SdatcStage2Config, report: Report | None = None) -> Path:
    """Run, or resume, stage 2, after making its pairs; arguments, result and errors as in ``stage1.train``."""
    networks: list[Stage2] = []
    with open_run(config, partial(_set_up, networks=networks, report=report)) as run:
        (net,) = networks
        judged = net.ted is not None and net.opponent is not None
        run.resume({"discriminator": net.ted, "discriminator_optimizer": net.opponent} if judged else {})
        for batches in run.steps(report):
            made = [_teach_decoder(run, net, batch) for batch in batches]
            run.update()
            if net.ted is None or net.opponent is None or run.step < config.losses.adversarial_from:
                continue
            for batch, out in zip(batches, made, strict=True):
                _teach_discriminator(run, net.ted, batch, out)
            net.opponent.step()
            net.opponent.zero_grad(set_to_none=True)
        return run.weights


def decode(net: Stage2, batch: Pair) -> Tensor:
    """A batch's clips from their sampled latents, (B,T,3,4h,4w) about [0,1]."""
    with torch.no_grad():
        _, features = to_latents(net.vae, net.dcm(frames_of(batch.lr)).clamp(0, 1))
    frames = net.vae.decode(frames_of(batch.latents) / LATENT_SCALE, features, batch.hr.shape[1])
    return ((frames.float() + 1) / 2).unflatten(0, batch.hr.shape[:2])


def _teach_decoder(run: Run, net: Stage2, batch: Pair) -> Tensor:
    """Gradients for the decoder from a batch; returns its clips without them."""
    weights, losses = run.config.losses, {}
    with run.precision():
        out = decode(net, batch)
        if weights.pixel:
            losses["pixel"] = (out - batch.hr).abs().mean()
        if net.perceptual is not None:
            losses["perceptual"] = net.perceptual(out, batch.hr)
        if net.ted is not None and run.step >= weights.adversarial_from:
            net.ted.requires_grad_(False)
            losses["adversarial"] = adversarial_loss(_judge(net.ted, out), real=True)
    if weights.temporal:
        losses["temporal"] = temporal_loss(out, batch.hr)
    if net.flow is not None:
        losses["warp"] = _warp_loss(net.flow, out, batch.hr)
    total = sum((getattr(weights, name) * value for name, value in losses.items()), out.new_zeros(()))
    (total / run.config.accumulate).backward()
    run.note({**losses, "loss": total})
    return out.detach()


def _warp_loss(flow: Flow, out: Tensor, truth: Tensor) -> Tensor:
    size = (truth.shape[-2], truth.shape[-1])
    motions = [find_clip_motion(clip, size, flow, MotionConfig()).to(truth.device) for clip in truth]
    return structure_weighted_warp_loss(out, truth, motions)


def _judge(ted: TED, clips: Tensor) -> Tensor:
    frames = frames_of(clips)
    return ted(frames, frames.new_zeros(len(frames), 1)).float()


def _teach_discriminator(run: Run, ted: TED, batch: Pair, out: Tensor) -> None:
    """Gradients for the discriminator: the truth is real, the result is made."""
    ted.requires_grad_(True)
    for name, clip in (("real", batch.hr), ("made", out)):
        with run.precision():
            loss = adversarial_loss(_judge(ted, clip), real=name == "real")
        (loss / run.config.accumulate).backward()
        run.note({f"discriminator_{name}": loss})


def _set_up(config: SdatcStage2Config, device: torch.device, networks: list[Stage2], report: Any) -> Run:
    torch.manual_seed(config.seed)
    base = load_base(config.base)
    state = read_state_dict(config.start)
    if find_stage(state) != 1:
        raise UnknownCheckpointError(
            f"Expected the file of SDATC's stage 1 to start from, got {config.start}; run stage 1 first."
        )
    sizes, _ = read_header(read_metadata(config.start), str(config.start))
    dcm, denoiser = build_stage1(state, sizes, base.unet, str(config.start))
    vae = SdatcVae(base.vae, config.sizes or sizes).to(device)
    material, _ = find_material(config)
    sampling = Sampling(dcm.to(device), denoiser.to(device), vae, base.text.to(device))
    clips = CompressedClips(material, config, config.seed)
    paths = make_pairs(clips, sampling, config.pairs, config.output / "pairs", report)
    del denoiser, sampling, base
    vae.frugal = config.frugal
    learning = Learning(None, vae_parameters(vae))
    networks.append(_with_critics(config, dcm, vae, device))
    unseen = Validation(replace(config, validation=ValidationConfig(every=0)), Material([], []), device)
    return Run(
        config=config,
        device=device,
        net=learning,
        average=learning.averaged(),
        optimizer=torch.optim.Adam(parameter_groups(list(learning.parameters()), config.optimizer.rate)),
        dataset=PairClips(paths, config.seed),
        material=material,
        validation=unseen,
        export=_export,
        stack=stack,
        move=move,
        file=STAGE_FILES[1],
    )


def _with_critics(config: SdatcStage2Config, dcm: Dcm, vae: SdatcVae, device: torch.device) -> Stage2:
    """The critics that are wanted and there; says which are not."""
    weights = config.losses
    perceptual = ted = opponent = flow = None
    if weights.perceptual and config.vgg is None:
        log.warning("The perceptual loss is off: no VGG19 on this disk (vgg = ...; docs/training.md says where from).")
    elif weights.perceptual and config.vgg is not None:
        perceptual = load_perceptual(config.vgg).to(device)
    if weights.adversarial:
        ted = TED(1, config.discriminator.channels, 1).to(device).train()
        opponent = torch.optim.Adam(parameter_groups(list(ted.parameters()), config.discriminator.rate))
    if weights.warp:
        flow = Flow(load_flow_net(config.flow).to(device), device)
    return Stage2(dcm, vae, perceptual, ted, opponent, flow)


def _export(run: Run, recent: Mapping[str, float]) -> None:
    sizes = run.config.sizes or read_header(read_metadata(run.config.start), str(run.config.start))[0]
    save_stage(run.average.tensors(), sizes, run.step, run.weights, describe(run, recent, {}))
