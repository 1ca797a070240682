"""A restorer whose workers can be watched, slowed and made to fail, and Ray on two machines that are one."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

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
        fail: raise this in every window that holds this frame of a shot; -1 never does.
        die: end the process there instead.
    """

    folder: Path
    seconds: float = 0.0
    extra: tuple[Path, ...] = ()
    fail: int = -1
    die: bool = False

    @property
    def files(self) -> Sequence[Path]:
        return self.extra

    @property
    def on_processors(self) -> bool:
        return False

    def make(self, files: Sequence[Path], device: torch.device) -> Restorer:
        (self.folder / f"{os.getpid()}.worker").write_text("\n".join(map(str, files)))
        return Failing(self) if self.fail >= 0 else LedTrail(4, 2, self.seconds)


class Failing(LedTrail):
    def __init__(self, recipe: TrailRecipe) -> None:
        super().__init__(4, 2, recipe.seconds)
        self.recipe = recipe

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "FailingShot":
        return FailingShot(self)


class FailingShot(LedTrailShot):
    restorer: Failing

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        if window.start <= self.restorer.recipe.fail < window.start + window.kept:
            if self.restorer.recipe.die:
                os._exit(3)
            raise RuntimeError("this window cannot be restored")
        yield from super().restore(window, check)


class TwoMachines:
    """Two Ray nodes of one processor each, as processes of this machine.

    Args:
        folder: for Ray, with a short name; and for the logs of its start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.nodes = [self._start("--head", "--port=0", f"--temp-dir={folder}", "--include-dashboard=false")]
        self.address = self._wait_for_head()
        self.add()

    def replace_dead(self) -> None:
        """Start a node for each that has been killed."""
        for node in [node for node in self.nodes if node.poll() is not None]:
            self.nodes.remove(node)
            self.add()

    def add(self, cpus: int = 1, gpus: int = 0) -> "subprocess.Popen[bytes]":
        """Start another node; the graphics cards that it says to have need not be there."""
        self.nodes.append(self._start(f"--address={self.address}", cpus=cpus, gpus=gpus))
        return self.nodes[-1]

    def remove(self, node: "subprocess.Popen[bytes]") -> None:
        """End a node, and forget it."""
        self.nodes.remove(node)
        node.terminate()
        node.wait()

    def left(self) -> list[Path]:
        """Folders that workers left behind, after what deletes them has had time."""
        return left_in(self.temporary)

    def _start(self, *options: str, cpus: int = 1, gpus: int = 0) -> "subprocess.Popen[bytes]":
        ray = Path(sys.executable).with_name("ray")
        size = (f"--num-cpus={cpus}", f"--num-gpus={gpus}", f"--object-store-memory={STORE}", "--disable-usage-stats")
        with (self.folder / "start.log").open("ab") as log:
            return subprocess.Popen(
                [ray, "start", "--block", *size, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "RAY_USAGE_STATS_ENABLED": "0",
                    "RAY_AUTH_MODE": "disabled",
                    "TMPDIR": str(self.temporary),
                    **SHORT,
                },
            )

    def _wait_for_head(self) -> str:
        """The address of the first node, which it writes down when it is up."""
        told = self.folder / "ray_current_cluster"
        while self.nodes[0].poll() is None:
            if told.exists() and (address := told.read_text().strip()):
                return address
            time.sleep(0.1)
        raise AssertionError((self.folder / "start.log").read_text())

    def close(self) -> None:
        """End all nodes, and what they have started."""
        for node in reversed(self.nodes):
            node.terminate()
        for node in self.nodes:
            node.wait(60)


SHORT = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "5000"}
"""A machine that is gone is given up after some seconds."""


def left_in(folder: Path) -> list[Path]:
    """What is in a temporary folder, after what deletes it has had time; a slow machine has minutes."""
    for _ in range(2400):
        left = list(folder.iterdir())
        if not left:
            break
        time.sleep(0.1)
    return left
