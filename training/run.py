"""What both stages of training share: setting up, stepping, averaging, saving, going on, looking."""

import contextlib
import copy
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from ..core.device import pick_device
from ..core.errors import JobRunningError, SettingError
from ..models.text_ovsr import TextOVSR
from . import data_process
from .checkpoint import build_network, export, load_state, save_state
from .config import RunConfig, TrainConfig
from .data import ClipDataset, collate, to_device
from .material import Material, find_material
from .noise_bank import load_bank, synthesise
from .validation import Validation

log = logging.getLogger(__name__)

REPORT_EVERY = 20
"""Steps between reports; only then, and to save, does the CPU wait for the losses."""

_INERTIA = 0.98  # of the reported losses


@dataclass(frozen=True)
class Progress:
    """Where a run is; as words for people."""

    done: int
    total: int
    loss: float
    pace: float

    def __str__(self) -> str:
        minutes = round((self.total - self.done) * self.pace / 60)
        left = f"{minutes // 60} h {minutes % 60:02} min left"
        return f"step {self.done}/{self.total}, loss {self.loss:.5f}, {self.pace:.2f} s a step, {left}"


Report = Callable[[Progress], None]


@dataclass
class Run:
    """A run under way; ``open_run`` makes it.

    Attributes:
        config: its settings.
        device: where it computes.
        net: what is trained; all of its parameters are averaged.
        average: its averaged weights.
        optimizer: of the network; each parameter group has the rate it comes to and the steps before it learns.
        dataset: the clips.
        material: what they are drawn from.
        validation: what the averaged weights are looked at on.
        export: writes ``weights`` from the run and its running means.
        stack: samples to a batch, in the data processes.
        move: a batch to a device.
        file: name of ``weights``.
        extra: further things with a state to save (``state_dict``), by name; stage 2's discriminator.
        step: steps done.
        recent: running means of the losses, on the device.
        seconds: time spent by all the processes that worked at it.
    """

    config: Any
    device: torch.device
    net: Any
    average: Any
    optimizer: torch.optim.Adam
    dataset: Any
    material: Material
    validation: Validation
    export: "Callable[[Run, Mapping[str, float]], None]" = export
    stack: Callable[[Any], Any] = collate
    move: Callable[[Any, torch.device], Any] = to_device
    file: str = "weights.safetensors"
    extra: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    recent: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def weights(self) -> Path:
        """The file of the averaged weights."""
        return self.config.output / self.file

    def resume(self, extra: Mapping[str, Any] | None = None) -> None:
        """Go on where the last process left off, if there was one; ``extra`` as in the class."""
        self.extra = dict(extra or {})
        state = load_state(self.config)
        if state is None:
            return
        wanted = [dict(group) for optimizer in self._optimizers() for group in optimizer.param_groups]
        for name, part in {"net": self.net, "average": self.average, "optimizer": self.optimizer, **self.extra}.items():
            part.load_state_dict(state[name])
        groups = [group for optimizer in self._optimizers() for group in optimizer.param_groups]
        for group, wish in zip(groups, wanted, strict=True):  # the state has the rates of its own time
            group.update(peak=wish["peak"], frozen=wish["frozen"])
        torch.set_rng_state(state["rng"])
        self.step, self.seconds = int(state["step"]), float(state.get("seconds", 0.0))
        self.recent = {name: torch.tensor(v, device=self.device) for name, v in state.get("recent", {}).items()}
        self.validation.forget_after(self.step)

    def steps(self, report: Report | None = None) -> Iterator[list[Any]]:
        """The batches of one step after the other, on the device; what follows a step happens between them."""
        each, began, first = self.config.accumulate, time.monotonic(), self.step
        loader = iter(self._loader())
        before = self.seconds
        while self.step < self.config.steps:
            self._set_rates()
            yield [self.move(batch, self.device) for batch in itertools.islice(loader, each)]
            self.step += 1
            decay = min(self.config.ema, self.step / (self.step + 10))
            _average(self.average, self.net, decay)
            self.seconds = before + time.monotonic() - began
            last = self.step == self.config.steps
            if last or self.step % REPORT_EVERY == 0:
                loss = self._checked_loss()
                progress = Progress(
                    self.step, self.config.steps, loss, (time.monotonic() - began) / (self.step - first)
                )
                (report or _log)(progress)
            if self.validation.due(self.step, last):
                self.validation.look(self.average, self.step, {name: float(v) for name, v in self.recent.items()})
            if last or self.step % self.config.save_every == 0:
                self.save()

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """The precision that the networks compute in."""
        wish, cuda = self.config.precision, self.device.type == "cuda"
        half = wish == "bf16" or (wish == "auto" and cuda and torch.cuda.is_bf16_supported())
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def update(self) -> None:
        """One optimiser step of the network, from the gradients there are."""
        config = self.config.optimizer
        if config.clip != "none":
            part = self.net if config.clip == "all" else self.net.image_cleaning
            torch.nn.utils.clip_grad_norm_(part.parameters(), config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def note(self, losses: Mapping[str, Tensor]) -> None:
        """Take losses into the running means."""
        for name, value in losses.items():
            value = value.detach().float()
            self.recent[name] = torch.lerp(value, self.recent[name], _INERTIA) if name in self.recent else value.clone()

    def save(self) -> None:
        """Write the averaged weights and the state to go on from, each whole or not at all.

        The weights come first: whoever finds a state finds the weights that belong to it, or later ones.
        """
        self._checked_loss()
        recent = {name: float(value) for name, value in self.recent.items()}
        self.export(self, recent)
        parts = {"net": self.net, "average": self.average, "optimizer": self.optimizer, **self.extra}
        state = {name: part.state_dict() for name, part in parts.items()}
        rest = {"rng": torch.get_rng_state(), "step": self.step, "seconds": self.seconds, "recent": recent}
        save_state(self.config, {**state, **rest})

    def _checked_loss(self) -> float:
        loss = float(self.recent.get("loss", torch.zeros(())))
        if not math.isfinite(loss):
            raise SettingError(
                f"Expected a finite loss, got {loss} before step {self.step}; lower optimizer.rate and start again: "
                f"the last checkpoint in {self.config.output} is sound."
            )
        return loss

    def _set_rates(self) -> None:
        config = self.config.optimizer
        share = min(1.0, (self.step + 1) / max(config.warmup, 1))
        if config.schedule == "cosine":
            share *= 0.5 * (1 + math.cos(math.pi * self.step / self.config.steps))
        for optimizer in self._optimizers():
            for group in optimizer.param_groups:
                group["lr"] = 0.0 if group["frozen"] > self.step else group["peak"] * share

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer, *(part for part in self.extra.values() if isinstance(part, torch.optim.Optimizer))]

    def _loader(self) -> DataLoader[Any]:
        config = self.config
        each = config.batch * config.accumulate
        workers: dict[str, Any] = {"prefetch_factor": 4} if config.workers else {}
        return DataLoader(
            self.dataset,
            config.batch,
            sampler=range(self.step * each, config.steps * each),
            num_workers=config.workers,
            collate_fn=self.stack,
            worker_init_fn=data_process.begin,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it draws from the one whose state is saved
            **workers,
        )


SetUp = Callable[[Any, torch.device], Run]


@contextlib.contextmanager
def open_run(config: RunConfig, set_up: SetUp | None = None) -> Iterator[Run]:
    """Set a run up, freshly: network, data, optimiser; ``Run.resume`` comes next.

    Args:
        config: the settings.
        set_up: makes the run on a device; without one, a run of TextOVSR.

    Raises:
        SettingError: what the config names is not there or does not fit.
    """
    device = pick_device(config.device)
    config.output.mkdir(parents=True, exist_ok=True)
    with _fast_math(device), _only_one(config.output):
        yield (set_up or _set_up)(config, device)


def _set_up(config: TrainConfig, device: torch.device) -> Run:
    torch.manual_seed(config.seed)
    net = build_network(config).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = copy.deepcopy(net).eval().requires_grad_(False)
    material, held = find_material(config)
    bank: list[Tensor] = []
    if net.config.negative and config.losses.negative:
        bank = load_bank(config.noise_bank) if config.noise_bank else synthesise(seed=config.seed)
    elif config.losses.negative:
        log.warning("The negative loss is off: the network has no negative branch (network.negative).")
    dataset = ClipDataset(material, config.clips, config.seed, bank)
    validation = Validation(config, held, device)
    return Run(config, device, net, average, _optimizer(net, config), dataset, material, validation)


def _log(progress: Progress) -> None:
    log.info("%s", progress)


def _optimizer(net: TextOVSR, config: TrainConfig) -> torch.optim.Adam:
    flow = list(net.basicvsr.spynet.parameters())
    if config.optimizer.text_frozen:
        net.basicvsr.text_encoder.requires_grad_(False)
    taken = {id(parameter) for parameter in flow}
    rest = [p for p in net.parameters() if id(p) not in taken and p.requires_grad]
    rate = config.optimizer
    groups = [
        {"params": rest, "peak": rate.rate, "frozen": 0},
        {"params": flow, "peak": rate.flow_rate, "frozen": rate.flow_frozen},
    ]
    return torch.optim.Adam(groups, betas=(0.9, 0.99))


@torch.no_grad()
def _average(average: torch.nn.Module, net: torch.nn.Module, decay: float) -> None:
    get_ema_multi_avg_fn(decay)(list(average.parameters()), list(net.parameters()), None)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder."""
    try:
        with FileLock(folder / "lock").acquire(timeout=0):
            yield
    except Timeout as error:
        raise JobRunningError(
            f"Expected {folder} for this run alone, but another trains there; wait, or choose another."
        ) from error


@contextlib.contextmanager
def _fast_math(device: torch.device) -> Iterator[None]:
    """TF32 on a GPU while it lasts."""
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]
