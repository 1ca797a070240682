"""SDATC's stage 1: control branch, prompts of the denoiser and the DCM, by the noise that they are to find."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.diffusion.schedules import TRAINED_STEPS, trained_schedule
from ..models.sdatc.checkpoint import STAGE_FILES, save_stage
from ..models.sdatc.dcm import Dcm
from ..models.sdatc.denoiser import SdatcDenoiser
from ..models.sdatc.vae import SdatcVae
from .checkpoint import describe
from .config_file import to_table
from .data import Batch
from .material import find_material
from .run import Report, Run, open_run
from .sdatc_config import SdatcStage1Config
from .sdatc_data import CompressedClips, DcmValidation, frames_of, parameter_groups
from .sdatc_dcm import find_dcm
from .sdatc_networks import Learning, denoiser_parameters, load_base, to_latents


@dataclass(frozen=True)
class Stage1:
    """The networks, on the device.

    Attributes:
        dcm: learns.
        denoiser: learns but for the UNet.
        vae: encodes; a gradient goes through it to the DCM.
        text: (1,K,D), of no words.
        kept: (1000,), abar of each timestep.
    """

    dcm: Dcm
    denoiser: SdatcDenoiser
    vae: SdatcVae
    text: Tensor
    kept: Tensor


def train(config: SdatcStage1Config, report: Report | None = None) -> Path:
    """Run, or resume, stage 1; arguments, result and errors as in the other ``stage1.train``."""
    networks: list[Stage1] = []
    with open_run(config, partial(_set_up, networks=networks)) as run:
        run.resume()
        for batches in run.steps(report):
            for batch in batches:
                with run.precision():
                    losses = compute(networks[0], batch, config.dcm)
                (losses["loss"] / config.accumulate).backward()
                run.note(losses)
            run.update()
        return run.weights


def compute(networks: Stage1, batch: Batch, weight: float) -> dict[str, Tensor]:
    """The losses of a batch, frames each for itself.

    Noise and timesteps are drawn on the CPU, so that a run that was stopped goes on with the same.

    Returns:
        ``noise``, |n - denoiser(z_t, t, c)|^2 with c what the encoder makes of the DCM's result; ``dcm``, L1 of that
        result; and ``loss``, the first and ``weight`` times the second.
    """
    truth = frames_of(batch.hr)
    made = networks.dcm(frames_of(batch.lr))
    condition, _ = to_latents(networks.vae, made)
    with torch.no_grad():
        clean, _ = to_latents(networks.vae, truth)
    clean = clean.float()
    steps = torch.randint(TRAINED_STEPS, (len(clean),)).to(clean.device)
    noise = torch.randn(clean.shape).to(clean.device)
    kept = networks.kept[steps].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
    text = networks.text.expand(len(clean), -1, -1)
    found = networks.denoiser(noisy, steps, text, condition.to(noisy))
    losses = {"noise": F.mse_loss(found.float(), noise), "dcm": (made.float() - truth).abs().mean()}
    return {**losses, "loss": losses["noise"] + weight * losses["dcm"]}


def _set_up(config: SdatcStage1Config, device: torch.device, networks: list[Stage1]) -> Run:
    torch.manual_seed(config.seed)
    base = load_base(config.base)
    denoiser, vae = SdatcDenoiser(base.unet, config.sizes), SdatcVae(base.vae, config.sizes)
    denoiser.frugal = vae.frugal = config.frugal
    dcm = find_dcm(config.start).to(device).train().requires_grad_(True)
    denoiser, vae = denoiser.to(device), vae.to(device).requires_grad_(False)
    kept = torch.from_numpy(trained_schedule().alphas_cumprod).float().to(device)
    networks.append(Stage1(dcm, denoiser, vae, base.text.to(device), kept))
    learning = Learning(dcm, denoiser_parameters(denoiser))
    material, held = find_material(config)
    return Run(
        config=config,
        device=device,
        net=learning,
        average=learning.averaged(),
        optimizer=torch.optim.Adam(parameter_groups(list(learning.parameters()), config.optimizer.rate)),
        dataset=CompressedClips(material, config, config.seed),
        material=material,
        validation=DcmValidation(config, held, device),
        export=_export,
        file=STAGE_FILES[0],
    )


def _export(run: Run, recent: Mapping[str, float]) -> None:
    card = describe(run, recent, {"dcm": to_table(run.net.dcm.config)})
    save_stage(run.average.tensors(), run.config.sizes, run.step, run.weights, card)
