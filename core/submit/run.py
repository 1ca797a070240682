"""Files through a workflow on one or several ComfyUI servers, with what they need to survive crashes."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, ServerError, TextOVSRError
from .client import clean_address
from .ledger import Ledger
from .pool import Limits, Pool, Server
from .station import Station
from .task import Task, make_task
from .workflow import Workflow

_TICK = 0.2
_GOODBYE = 10.0
"""Seconds that a thread gets to finish what it is at."""

Report = Callable[[Sequence[Task]], None]
"""Called several times a second with all tasks."""


@dataclass(frozen=True)
class Order:
    """What is to be done, and where.

    Attributes:
        workflow: what is done with each file.
        output: the folder for the results, each under its input's name.
        servers: addresses.
        limits: how much is forgiven.
    """

    workflow: Workflow
    output: Path
    servers: Sequence[str]
    limits: Limits = field(default_factory=Limits)


def submit_files(sources: Sequence[Path], order: Order, report: Report = lambda tasks: None) -> list[Task]:
    """Send files through a workflow; what an earlier run has done, or has queued, is taken up.

    A task that fails does not stop the others: look at each one's ``state``. KeyboardInterrupt takes back what is
    queued before it is raised again. Other exceptions leave it queued: the next run finds it.

    Raises:
        InputError: a source cannot be read, an address or a setting is wrong.
        OutputError: the output folder cannot be made.
        JobRunningError: another run puts its results into the same folder.
        ServerError: no server answers.
        DiskFullError: there is no room for a result.
    """
    tasks = _make_tasks(sources, order.workflow)
    servers = [Server(address) for address in dict.fromkeys(map(clean_address, order.servers))]
    with Ledger(order.output) as ledger:
        for task in tasks:
            ledger.take_up(task)
        pool = Pool(tasks, servers, ledger, order.limits)
        if not pool.settled:
            _Run(pool, [Station(server, pool, order.workflow) for server in servers]).until_settled(report)
    report(tasks)
    return tasks


def _make_tasks(sources: Sequence[Path], workflow: Workflow) -> list[Task]:
    try:
        for source in sources:
            source.open("rb").close()
        tasks = [make_task(source, workflow) for source in sources]
    except OSError as error:
        raise InputError(f"Expected files to send, got {error.filename}: {error.strerror}; correct --input.") from error
    return list({task.key: task for task in tasks}.values())


class _Run:
    """The threads of all servers."""

    def __init__(self, pool: Pool, stations: Sequence[Station]) -> None:
        self._pool, self._stations = pool, stations
        self._crashed: list[BaseException] = []
        jobs = [job for station in stations for job in (station.work, station.listen)]
        self._threads = [threading.Thread(target=self._watch, args=(job,), daemon=True) for job in jobs]

    def _watch(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001  (the thread that waits raises it again)
            self._crashed.append(error)

    def until_settled(self, report: Report) -> None:
        """Work until nothing is left to do."""
        for thread in self._threads:
            thread.start()
        try:
            while not self._pool.settled:
                report(self._pool.tasks)
                self._pool.stopped.wait(_TICK)
                self._raise_troubles()
                self._pool.tend()
        except KeyboardInterrupt:
            self._stop()
            for station in self._stations:
                with contextlib.suppress(TextOVSRError):  # a server that is gone has nothing to take back
                    station.cancel()
            raise
        finally:
            self._stop()

    def _raise_troubles(self) -> None:
        if self._crashed:
            raise self._crashed[0]
        servers = self._pool.servers
        if all(server.trouble and not server.met for server in servers):
            troubles = "\n".join(server.trouble for server in servers)
            raise ServerError(f"{troubles}\nStart ComfyUI, or correct --server.")

    def _stop(self) -> None:
        self._pool.stopped.set()
        for thread in self._threads:
            thread.join(_GOODBYE)
