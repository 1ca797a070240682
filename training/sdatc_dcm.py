"""SDATC's warm-up: the distortion control module alone, by the truth. Its result is a restorer like any other."""

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..core.errors import WeightsError
from ..models.catalog import find_weights
from ..models.registry import DCM, load_network, save_weights
from ..models.sdatc.dcm import Dcm, DcmConfig
from .checkpoint import describe
from .config_file import to_table
from .losses import charbonnier
from .material import find_material
from .run import Report, Run, open_run
from .sdatc_config import SdatcDcmConfig
from .sdatc_data import CompressedClips, DcmValidation, frames_of, parameter_groups


def train(config: SdatcDcmConfig, report: Report | None = None) -> Path:
    """Run, or resume, the warm-up; arguments, result and errors as in ``stage1.train``."""
    with open_run(config, _set_up) as run:
        run.resume()
        for batches in run.steps(report):
            for batch in batches:
                with run.precision():
                    made = run.net(frames_of(batch.lr)).float()
                loss = compare(made, frames_of(batch.hr), config.pixel)
                (loss / config.accumulate).backward()
                run.note({"loss": loss})
            run.update()
        return run.weights


def compare(made: Tensor, truth: Tensor, how: str) -> Tensor:
    """``l1`` or ``charbonnier``."""
    return charbonnier(made, truth) if how == "charbonnier" else (made - truth).abs().mean()


def find_dcm(start: str, wanted: DcmConfig | None = None) -> Dcm:
    """A DCM of a file or of weights that ship.

    Raises:
        WeightsError: there are none, or of another network.
    """
    path = Path(start).expanduser()
    found = load_network(path if path.is_file() else find_weights(start, ()), [DCM])
    assert isinstance(found, Dcm)
    if wanted not in (None, found.config):
        raise WeightsError(f"Expected {start} to be of the network {wanted}, got {found.config}; leave network out.")
    return found


def _set_up(config: SdatcDcmConfig, device: torch.device) -> Run:
    torch.manual_seed(config.seed)
    net = find_dcm(config.start, config.network) if config.start else Dcm(config.network or DcmConfig())
    net = net.to(device).train().requires_grad_(True)
    material, held = find_material(config)
    return Run(
        config=config,
        device=device,
        net=net,
        average=copy.deepcopy(net).eval().requires_grad_(False),
        optimizer=_optimizer(net, config),
        dataset=CompressedClips(material, config, config.seed),
        material=material,
        validation=DcmValidation(config, held, device),
        export=_export,
    )


def _optimizer(net: Dcm, config: SdatcDcmConfig) -> torch.optim.Adam:
    last = list((net.upsample[0] if net.config.upsampler == "direct" else net.conv_last).parameters())
    rest = [parameter for parameter in net.parameters() if all(parameter is not other for other in last)]
    rate = config.optimizer.rate
    groups = [*parameter_groups(rest, rate), *parameter_groups(last, rate * config.last)]
    return torch.optim.Adam(groups, betas=(0.9, 0.99))


def _export(run: Run, recent: Mapping[str, float]) -> None:
    card = describe(run, recent, {"network": to_table(run.net.config)})
    save_weights(run.average.state_dict(), run.weights, card)
