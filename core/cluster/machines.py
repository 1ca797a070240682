"""The machines of a cluster: which there are, what they run, and how files get there."""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import DEVICE
from ..errors import ClusterError
from .config import CHUNK, CHUNKS_UNDER_WAY, CLOSING, CPUS, ClusterConfig
from .depot import Depot, FileId
from .identity import code_identity

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """A machine of the cluster.

    Attributes:
        node: Ray's name of it.
        name: for people.
        gpus: graphics cards that Ray may give away.
        cpus: processors.
    """

    node: str
    name: str
    gpus: int
    cpus: int


def find_machines(ray: Any) -> list[Machine]:
    """The machines that are up."""
    return [
        Machine(
            node["NodeID"],
            str(node["NodeManagerHostname"]),
            int(node["Resources"].get("GPU", 0)),
            int(node["Resources"].get("CPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def on_machine(ray: Any, machine: Machine) -> dict[str, Any]:
    """Options of Ray that bind an actor or a task to a machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(machine.node, soft=False)}


@dataclass(frozen=True)
class Share:
    """What one worker gets of a machine, and the device that it computes on.

    Ray shows a worker the cards that it gets and no others, so that each is ``cuda`` to its worker.
    """

    gpus: int
    cpus: int
    device: str

    def options(self, ray: Any, machine: Machine) -> dict[str, Any]:
        """Options of Ray for the worker."""
        return {**on_machine(ray, machine), "num_gpus": self.gpus, "num_cpus": self.cpus}


def wants_cards(device: str, machines: Sequence[Machine]) -> bool:
    """Whether a job is done on graphics cards: all of it is, or nothing, for they compute otherwise than processors.

    Args:
        device: see ``ClusterConfig``; ``auto`` uses them if there are any.
        machines: of the cluster.
    """
    return device == "cuda" or (device == DEVICE and any(machine.gpus for machine in machines))


def shares(machine: Machine, wish: ClusterConfig, cards: bool) -> list[Share]:
    """How a machine is divided among workers: one for each card, or for each group of processors.

    Args:
        machine: which.
        wish: of which ``cpus`` counts.
        cards: whether the job is done on graphics cards.
    """
    if cards:
        return [Share(1, 0, "cuda")] * machine.gpus
    if not machine.cpus:
        return []
    cpus = min(wish.cpus or CPUS, machine.cpus)
    return [Share(0, cpus, "cpu")] * (machine.cpus // cpus)


class Site:
    """A job's depot on a machine, set up when the first worker there asks.

    Args:
        ray: the module.
        machine: which.
        files: that the job needs.
    """

    def __init__(self, ray: Any, machine: Machine, files: Sequence[FileId]) -> None:
        self._ray, self.machine, self._files = ray, machine, files
        self._lock = threading.Lock()
        self.depot: Any = None
        self._depots: list[Any] = []  # all of them: Ray ends one that nobody knows, with files that workers may use
        self._paths: list[Path] = []

    def set_up(self) -> tuple[list[Path], Path]:
        """Check the code, start the depot and send what is not there.

        Returns:
            Where the files are there, and a new folder for a worker.

        Raises:
            ClusterError: the machine runs other code, or none of ours, or a file does not arrive.
            RayError: the machine went down, or the depot, which the next one to ask starts again.
        """
        with self._lock:
            if self.depot is None:
                self._check_code()
                options = {**on_machine(self._ray, self.machine), "num_cpus": 0, "max_concurrency": CHUNKS_UNDER_WAY}
                self.depot = self._ray.remote(Depot).options(**options).remote()
                self._depots.append(self.depot)
                self._paths = []
            depot = self.depot
            try:
                self._paths = self._paths or [self._deliver(depot, file) for file in self._files]
                return self._paths, self._ray.get(depot.scratch.remote())
            except self._ray.exceptions.RayTaskError:  # it is there, and says what is wrong
                raise
            except self._ray.exceptions.RayError:
                self.depot = None
                raise

    def clear(self, scratch: Path | None) -> None:
        """Delete the folder of a worker that was lost; if the depot was lost too, the next one to ask sets it up."""
        depot = self.depot
        if depot is None or scratch is None:
            return
        try:
            self._ray.get(depot.forget.remote(scratch), timeout=CLOSING)
        except self._ray.exceptions.RayActorError:
            with self._lock:
                self.depot = None if self.depot is depot else self.depot
        except self._ray.exceptions.RayError as error:  # it is slow; the folder is deleted with all others
            log.debug("%s: %s", self.machine.name, error)

    def close(self) -> None:
        """Delete everything that the job brought to the machine."""
        depots, self._depots, self.depot = self._depots, [], None
        for depot in depots:
            with suppress(self._ray.exceptions.RayError):  # it is gone, and its folder with it
                self._ray.get(depot.close.remote(), timeout=CLOSING)
            self._ray.kill(depot, no_restart=True)

    def _check_code(self) -> None:
        def look() -> str:  # travels as it is, for there may be nothing of ours on the other side
            try:
                from textovsr.core.cluster.identity import code_identity
            except ImportError as error:
                return f"none that can be imported ({error})"
            return code_identity()

        options = {**on_machine(self._ray, self.machine), "num_cpus": 0, "max_retries": 0}
        theirs = self._ray.get(self._ray.remote(look).options(**options).remote())
        if theirs != code_identity():
            raise ClusterError(
                f"Expected {code_identity()} on {self.machine.name}, got {theirs}; install the same versions there, in "
                "the Python that Ray runs."
            )

    def _deliver(self, depot: Any, file: FileId) -> Path:
        found: Path | None = self._ray.get(depot.find.remote(file))
        if found is None:
            log.info("Sending %s to %s.", file.path.name, self.machine.name)
            self._send(depot, file)
            found = self._ray.get(depot.finish.remote(file))
        if found is None:
            raise ClusterError(f"Expected {file.path} to arrive on {self.machine.name} as it is; was it changed?")
        return found

    def _send(self, depot: Any, file: FileId) -> None:
        under_way: list[Any] = []
        with file.path.open("rb") as content:
            offset = 0
            while chunk := content.read(CHUNK):
                under_way.append(depot.add.remote(file, offset, chunk))
                offset += len(chunk)
                if len(under_way) >= CHUNKS_UNDER_WAY:
                    self._ray.get(under_way.pop(0))
        self._ray.get(under_way)
