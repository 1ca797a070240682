"""Stage 1: the fidelity end. Pixel and cleaning losses on degraded clips; one loop, resumable to the exact step."""

import copy
import json
import logging
import math
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..core.text.encode import tokenize
from ..models.registry import save_weights
from ..models.text_ovsr import TextOVSR, TextOVSRConfig
from .data import ClipConfig, ClipDataset, Sample
from .losses import charbonnier, cleaning_loss

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage1Config:
    """A training run.

    Attributes:
        data: folder of images and videos.
        output: folder for checkpoints and the log.
        network: the network to train.
        clips: what the training clips are like.
        steps: optimiser steps in all; the rate falls to zero over them (cosine).
        batch: clips a step.
        rate: the largest learning rate (Adam, betas .9 and .99).
        flow_rate: the same for SPyNet, which starts trained.
        flow_frozen: steps before SPyNet learns too.
        ema: decay of the averaged weights, which are the ones saved.
        seed: of everything random.
        save_every: steps between checkpoints.
        initial_flow: a checkpoint to take SPyNet's weights from (BasicVSR's .pth, keys ``...spynet.*``).
        workers: data processes.
    """

    data: Path
    output: Path
    network: TextOVSRConfig
    clips: ClipConfig = field(default_factory=ClipConfig)
    steps: int = 2000
    batch: int = 2
    rate: float = 4e-4
    flow_rate: float = 2.5e-5
    flow_frozen: int = 500
    ema: float = 0.998
    seed: int = 0
    save_every: int = 100
    initial_flow: Path | None = None
    workers: int = 1


def train(config: Stage1Config) -> Path:
    """Run, or resume, stage 1; returns the file of the averaged weights (safetensors, the recipe in its header)."""
    torch.manual_seed(config.seed)
    net = TextOVSR(config.network)
    _initialise(net, config.initial_flow)
    net.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(net).eval()
    optimizer = _optimizer(net, config)
    step = _resume(config.output / "state.pt", net, average, optimizer)
    dataset = ClipDataset(config.data, config.clips, config.seed)
    indices = range(step * config.batch, config.steps * config.batch)
    loader = iter(DataLoader(dataset, config.batch, sampler=indices, num_workers=config.workers, collate_fn=list))
    began = time.monotonic()
    first, recent = step, 0.0
    while step < config.steps:
        loss = _step(net, next(loader), optimizer, config, step)
        step += 1
        _average(average, net, min(config.ema, step / (step + 10)))
        recent = loss if step == first + 1 else 0.98 * recent + 0.02 * loss
        if step % 20 == 0:
            pace = (time.monotonic() - began) / (step - first)
            log.info("step %d/%d loss %.5f, %.2f s a step", step, config.steps, recent, pace)
        if step % config.save_every == 0 or step == config.steps:
            _save(config, net, average, optimizer, step, recent)
    return config.output / "weights.safetensors"


def _initialise(net: TextOVSR, initial_flow: Path | None) -> None:
    """Small residual branches at the start; SPyNet from a trained checkpoint where the shapes allow."""
    for name, parameter in net.named_parameters():
        if "conv2.weight" in name or name.endswith(("conv_last.weight", "image_cleaning.1.weight")):
            parameter.data.mul_(0.1)
    torch.nn.init.zeros_(net.image_cleaning[1].bias)
    if initial_flow is None:
        return
    state = torch.load(initial_flow, map_location="cpu", weights_only=True)
    flow = basicvsr_flow(state.get("params", state))
    own = net.basicvsr.spynet.state_dict()
    net.basicvsr.spynet.load_state_dict({key: flow[key] for key in own})


def basicvsr_flow(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """SPyNet's weights from a BasicSR checkpoint, whose convolutions stand at every second place and have no name."""

    def renamed(key: str) -> str:
        return re.sub(r"(basic_module\.\d+\.basic_module)\.(\d+)", lambda m: f"{m[1]}.{int(m[2]) // 2}.conv", key)

    return {renamed(key.removeprefix("spynet.")): value for key, value in state.items() if key.startswith("spynet.")}


def _optimizer(net: TextOVSR, config: Stage1Config) -> torch.optim.Adam:
    flow = list(net.basicvsr.spynet.parameters())
    taken = {id(parameter) for parameter in flow}
    rest = [parameter for parameter in net.parameters() if id(parameter) not in taken]
    groups = [{"params": rest, "peak": config.rate}, {"params": flow, "peak": config.flow_rate}]
    return torch.optim.Adam(groups, betas=(0.9, 0.99))


def _step(
    net: TextOVSR, samples: Sequence[Sample], optimizer: torch.optim.Adam, config: Stage1Config, step: int
) -> float:
    lr = torch.stack([sample.lr for sample in samples])
    hr = torch.stack([sample.hr for sample in samples])
    ids, mask = tokenize([sample.prompt for sample in samples for _ in range(lr.shape[1])])
    warm = min(1.0, (step + 1) / 50)
    for index, group in enumerate(optimizer.param_groups):
        frozen = index == 1 and step < config.flow_frozen
        group["lr"] = 0.0 if frozen else group["peak"] * warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))
    loss = _loss(net, lr, hr, ids, mask)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _loss(net: TextOVSR, lr: Tensor, hr: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    cleaned = net.clean(lr.flatten(0, 1)).unflatten(0, lr.shape[:2])
    out = net.upscale(cleaned, ids, mask)
    return charbonnier(out, hr) + 0.5 * cleaning_loss(cleaned, hr)


@torch.no_grad()
def _average(average: TextOVSR, net: TextOVSR, decay: float) -> None:
    for mean, value in zip(average.parameters(), net.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)


def _resume(path: Path, net: TextOVSR, average: TextOVSR, optimizer: torch.optim.Adam) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(state["net"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    return int(state["step"])


def _save(
    config: Stage1Config, net: TextOVSR, average: TextOVSR, optimizer: torch.optim.Adam, step: int, loss: float
) -> None:
    config.output.mkdir(parents=True, exist_ok=True)
    state = {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "step": step,
    }
    partial = config.output / "state.partial"
    torch.save(state, partial)
    partial.replace(config.output / "state.pt")
    recipe = json.dumps({**asdict(config), "step": step, "loss": loss}, default=lambda path: path.name)
    save_weights(average.state_dict(), config.output / "weights.safetensors", {"recipe": recipe})
