"""A restorer whose workers can be watched, slowed and made to fail, and Ray on two machines that are one."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from torch import Tensor

from textovsr.core.cluster.session import joined
from textovsr.core.restorer import PromptedFrame, Restorer
from textovsr.core.tiles import Check
from textovsr.core.windows import Window, WindowPlan
from textovsr.tests.helpers.restorers import Trail, TrailShot

STORE = 80_000_000
"""Bytes of Ray's object store on each machine."""


class LedTrail(Trail):
    """A ``Trail`` that may begin within a shot."""

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "LedTrailShot":
        return LedTrailShot(self)


class LedTrailShot(TrailShot):
    """Knows no more of what is before it than it is shown."""

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        self.done = self.done or window.start
        yield from super().restore(window, check)


@dataclass(frozen=True)
class TrailRecipe:
    """How workers make a ``LedTrail``.

    Attributes:
        folder: where each leaves a file named by its process.
        seconds: a frame takes.
        extra: a file that it says to need.
        trouble: ``fail`` raises, ``die`` ends the process, ``wait`` leaves a file and waits to be killed.
        at: there is trouble in every window that holds this frame of a shot; -1: in none.
        spared: shots of each worker without trouble, the first ones.
    """

    folder: Path
    seconds: float = 0.0
    extra: tuple[Path, ...] = ()
    trouble: Literal["fail", "die", "wait"] = "fail"
    at: int = -1
    spared: int = 0

    @property
    def files(self) -> Sequence[Path]:
        return self.extra

    @property
    def on_processors(self) -> bool:
        return False

    def make(self, files: Sequence[Path], device: torch.device) -> Restorer:
        (self.folder / f"{os.getpid()}.worker").write_text("\n".join(map(str, files)))
        return Troubled(self) if self.at >= 0 else LedTrail(4, 2, self.seconds)


class Troubled(LedTrail):
    def __init__(self, recipe: TrailRecipe) -> None:
        super().__init__(4, 2, recipe.seconds)
        self.recipe = recipe

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> LedTrailShot:
        self.shots += 1
        return LedTrailShot(self) if self.shots <= self.recipe.spared else TroubledShot(self)


class TroubledShot(LedTrailShot):
    restorer: Troubled

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        if window.start <= self.restorer.recipe.at < window.start + window.kept:
            self.trouble()
        yield from super().restore(window, check)

    def trouble(self) -> None:
        recipe = self.restorer.recipe
        if recipe.trouble == "die":
            os._exit(3)
        if recipe.trouble == "fail":
            raise RuntimeError("this window cannot be restored")
        (recipe.folder / f"{os.getpid()}.waiting").touch()
        while True:
            time.sleep(0.1)


@dataclass(frozen=True)
class Node:
    """A Ray node.

    Attributes:
        process: ``ray start``, which ends with the node.
        mark: a resource that this node alone has, by which Ray tells it from others.
        gpus: graphics cards that it says to have.
    """

    process: "subprocess.Popen[bytes]"
    mark: str
    gpus: int


class TwoMachines:
    """Two Ray nodes of one processor each, as processes of this machine; a context manager.

    Args:
        folder: for Ray, with a short name; and for the logs of its start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.nodes: list[Node] = []
        self._started = 0

    def __enter__(self) -> "TwoMachines":
        try:
            self.nodes = [self._start("--head", "--port=0", f"--temp-dir={self.folder}", "--include-dashboard=false")]
            self.address = self._wait_for_head()
            self._add()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End all nodes, and what they have started."""
        for node in reversed(self.nodes):
            node.process.terminate()
        for node in self.nodes:
            node.process.wait()

    def settle(self) -> None:
        """Wait until Ray knows of the nodes that run, and of no others; those that have ended are replaced.

        Ray hears of a node some time after it has begun or was killed; and one may end as it begins, if two nodes have
        chosen the same port.
        """
        with joined(self.address) as ray:
            while marks(ray) != {node.mark for node in self.nodes}:
                self._replace_ended()
                time.sleep(0.1)

    @contextmanager
    def with_cards(self, cards: int) -> Iterator[None]:
        """A third node, which says to have graphics cards, for the length of the block."""
        self._add(gpus=cards)
        try:
            self.settle()
            yield
        finally:
            node = self.nodes.pop()
            node.process.terminate()
            node.process.wait()
            self.settle()

    def left(self) -> list[Path]:
        """Folders that workers left behind, after what deletes them has had time."""
        return left_in(self.temporary)

    def _add(self, gpus: int = 0) -> None:
        self.nodes.append(self._start(f"--address={self.address}", gpus=gpus))

    def _replace_ended(self) -> None:
        assert self.nodes[0].process.poll() is None, self._log()
        for place, node in enumerate(self.nodes):
            if node.process.poll() is not None:
                self.nodes[place] = self._start(f"--address={self.address}", gpus=node.gpus)

    def _start(self, *options: str, gpus: int = 0) -> Node:
        ray = Path(sys.executable).with_name("ray")
        self._started += 1
        mark = f"{MARK}{self._started}"
        size = ("--num-cpus=1", f"--num-gpus={gpus}", f"--object-store-memory={STORE}", "--disable-usage-stats")
        with (self.folder / "start.log").open("ab") as log:
            process = subprocess.Popen(
                [ray, "start", "--block", *size, f'--resources={{"{mark}": 1}}', *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(self.temporary), **SHORT},
            )
        return Node(process, mark, gpus)

    def _wait_for_head(self) -> str:
        """The address of the first node, which it writes down when it is up."""
        told = self.folder / "ray_current_cluster"
        while self.nodes[0].process.poll() is None:
            if told.exists() and (address := told.read_text().strip()):
                return address
            time.sleep(0.1)
        raise AssertionError(self._log())

    def _log(self) -> str:
        return (self.folder / "start.log").read_text()


MARK = "ovt-"
"""How the names of the nodes' resources begin."""

SHORT = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "5000"}
"""A machine that is gone is given up after some seconds."""


def marks(ray: Any) -> set[str]:
    """Of the nodes that Ray takes to be up."""
    return {name for node in ray.nodes() if node["Alive"] for name in node["Resources"] if name.startswith(MARK)}


def kill(ray: Any, actor: Any) -> None:
    """End an actor, and wait until it is gone: Ray only asks it to end, and it goes on answering for a while."""
    ray.kill(actor)
    while True:
        try:
            ray.get(actor.__ray_ready__.remote())
        except ray.exceptions.ActorDiedError:
            return
        except ray.exceptions.ActorUnavailableError:
            time.sleep(0.1)


def running(processes: Iterable[int]) -> list[int]:
    """Those that still run, after they have had time to end; a slow machine has minutes."""
    for _ in range(2400):
        left = [process for process in processes if _runs(process)]
        if not left:
            break
        time.sleep(0.1)
    return left


def _runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE  # whose parent looks for it when it likes
    except psutil.NoSuchProcess:
        return False


def left_in(folder: Path) -> list[Path]:
    """What is in a temporary folder, after what deletes it has had time; a slow machine has minutes."""
    for _ in range(2400):
        left = list(folder.iterdir())
        if not left:
            break
        time.sleep(0.1)
    return left
